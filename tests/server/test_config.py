"""Settings: the order of their sources, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import config as module
from server.config import KEYS, Config, load_config, reference
from server.errors import ConfigError
from server.peer import IceServer


def toml(tmp_path: Path, text: str) -> str:
    path = tmp_path / "relens.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_file_then_environment_then_flags(tmp_path: Path) -> None:
    path = toml(tmp_path, 'port = 1\nmodel = "passthrough"\nhost = "::1"\nmax_fps = 24')
    config = load_config(path, {"RELENS_PORT": "2", "RELENS_HOST": "localhost", "HOME": "/"}, {"port": "3"})
    assert (config.port, config.host, config.model, config.max_fps) == (3, "localhost", "passthrough", 24.0)


def test_defaults_listen_on_this_machine_only() -> None:
    assert load_config() == Config()
    assert Config().host == "127.0.0.1"


def test_variables_that_others_read_are_no_keys() -> None:
    assert load_config(environ={"RELENS_NVIDIA_LIBRARIES": "/opt/driver", "RELENS_CONFIG": "x"}) == Config()


@pytest.mark.parametrize(
    ("key", "nearest"), [("prot", "port"), ("max_session", "max_session"), ("ice_server", "ice_servers")]
)
def test_unknown_keys_are_refused_naming_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"there is no key '{key}'.*{nearest}"):
        load_config(environ={f"RELENS_{key.upper()}": "1"})


@pytest.mark.parametrize(
    "text",
    [
        'port = "eighty"',
        "port = true",
        "port = 70000",
        "max_fps = nan",
        "idle_s = -1",
        'codecs = ["av1"]',
        'codecs = ["h264", "h266"]',
        "codecs = []",
        'codecs = ["vp8", "vp8"]',
        'log_level = "loud"',
        "host = 5",
        "allowed_origins = [1]",
        'trusted_proxies = ["proxy.example"]',
        "trusted_proxies = [1]",
        "min_bitrate_bps = 2000000",
        'tls_cert = "x.pem"',
        'tls_cert = "/nowhere.pem"\ntls_key = "/nowhere.key"',
        '[[ice_servers]]\nurls = "http://x"',
        '[[ice_servers]]\nurls = "turn:x"',
        '[[ice_servers]]\nurl = "stun:x"',
        "[[ice_servers]]\nurls = []",
        '[[ice_servers]]\nurls = "stun:x"\nusername = 1',
        "ice_servers = 3",
        "port = = 1",
        "chunk_frames = 8",
        "denoise_steps = 3",
        'random_weights = "perhaps"',
        "random_weights = 1",
        'pass_engine = "fast"',
        'autoencoder = "small"',
        "mask_cache = true\ndenoise_steps = 2",
    ],
)
def test_unusable_values_are_refused_naming_the_key(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(toml(tmp_path, text))
    named = text.split("=")[0].strip().removeprefix("[[ice_servers]]\n")
    assert named.split("\n")[0].strip("[]") in str(raised.value) or "toml" in str(raised.value).lower()


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("YES", True), ("off", False), ("", False), ("0", False)]
)
def test_a_switch_is_said_in_words(text: str, value: bool, tmp_path: Path) -> None:
    assert load_config(environ={"RELENS_RANDOM_WEIGHTS": text}).random_weights is value
    assert load_config(flags={"random_weights": text}).models.random_weights is value
    path = toml(tmp_path, f"random_weights = {str(value).lower()}")
    assert load_config(path).random_weights is value


def test_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_config("/nowhere.toml")


@pytest.mark.parametrize("text", ["", "x", "1.5", "0x10", "1e999"])
def test_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="port"):
        load_config(environ={"RELENS_PORT": text})


def test_ice_servers_as_urls_and_as_json() -> None:
    by_urls = load_config(flags={"ice_servers": "stun:a.test, stun:b.test"})
    assert [server.urls for server in by_urls.ice_servers] == [("stun:a.test",), ("stun:b.test",)]
    by_json = load_config(
        environ={"RELENS_ICE_SERVERS": '[{"urls":["turn:a"],"username":"u","credential":"c"}]'}
    )
    assert by_json.ice_servers == (IceServer(urls=("turn:a",), username="u", credential="c"),)


def test_every_key_says_what_it_is_and_the_reference_is_current() -> None:
    assert all(key.metadata["doc"].endswith(".") for key in KEYS.values())
    assert module.DOC_PATH.read_text(encoding="utf-8") == reference()
    assert module.main(["--check"]) == 0
    assert all(f"`{name}`" in reference() for name in KEYS)


@given(st.dictionaries(st.sampled_from(sorted(KEYS)), st.text(max_size=40), max_size=4))
def test_any_environment_gives_a_config_or_a_config_error(values: dict[str, str]) -> None:
    try:
        config = load_config(environ={f"RELENS_{name.upper()}": text for name, text in values.items()})
    except ConfigError:
        return
    assert isinstance(config, Config)


def test_what_a_cluster_says_of_a_service_called_relens_is_no_setting() -> None:
    linked = {
        "RELENS_PORT": "tcp://10.0.0.7:8080",
        "RELENS_SERVICE_HOST": "10.0.0.7",
        "RELENS_SERVICE_PORT": "8080",
        "RELENS_SERVICE_PORT_HTTP": "8080",
        "RELENS_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "RELENS_PORT_8080_TCP_ADDR": "10.0.0.7",
    }
    assert load_config(environ=linked) == Config()
    with pytest.raises(ConfigError, match="RELENS_PORT_NAME"):
        load_config(environ={"RELENS_PORT_NAME": "http"})
