"""docker/bridge.yaml says what it means: checked as text, as no Docker runs where the tests do."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml

from server.config import Config
from server.rtmp.address import check_app, read_address

DOCKER = Path(__file__).parents[3] / "docker"
SET = {"TURN_PASSWORD": "turn-word", "BRIDGE_PASSWORD": "bridge-word", "RELENS_STREAM_KEY": "key-of-live"}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?:(:-|:\?)([^}]*))?\}")


def interpolated(text: str) -> str:
    """As Compose does it, with `SET` in the environment."""

    def value(found: re.Match[str]) -> str:
        name, rule, rest = found.groups()
        if name in SET:
            return SET[name]
        assert rule == ":-", f"{name} has no default and no message"
        return rest

    return VARIABLE.sub(value, text)


def compose(name: str = "bridge.yaml") -> dict[str, Any]:
    text = "\n".join(line for line in (DOCKER / name).read_text().splitlines() if not line.startswith("#"))
    loaded: dict[str, Any] = yaml.safe_load(interpolated(text))
    return loaded


def test_every_service_is_made_of_something_and_shares_the_hosts_network() -> None:
    found = compose()
    assert set(found) == {"services", "volumes", "configs"}
    assert set(found["services"]) == {"relens", "mediamtx", "turn"}
    for service in found["services"].values():
        assert ("image" in service) != ("build" in service)
        assert service["network_mode"] == "host"
        assert "ports" not in service  # Compose refuses them beside the host's network
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source.startswith(("./", "/")) or source in found["volumes"]
        for config in service.get("configs", ()):
            assert config["source"] in found["configs"]


def test_relens_settings_are_ones_that_it_has() -> None:
    environment = compose()["services"]["relens"]["environment"]
    known = {f"RELENS_{field.name.upper()}" for field in dataclasses.fields(Config)}
    assert set(environment) <= known
    assert set(compose("compose.yaml")["services"]["relens"]["environment"]) <= known


def test_mediamtx_forwards_to_the_stream_with_its_key_and_fetches_it_back() -> None:
    settings = yaml.safe_load(compose()["configs"]["mediamtx"]["content"])
    server, _, name = settings["paths"]["live"]["forward"][0]["dest"].partition("#")
    app = server.rpartition("/")[2]
    check_app(app, server)
    address = read_address(app, server, name)
    assert (address.stream, address.key) == ("live", SET["RELENS_STREAM_KEY"])
    fetched = settings["paths"]["edited"]["source"].split("/")
    assert read_address(fetched[-2], "", fetched[-1]).stream == "live"
    environment = compose()["services"]["relens"]["environment"]
    assert f":{environment['RELENS_RTMP_PORT']}/" in server + "/"
    assert settings["rtmp"] is False  # the port is relens'


def test_nobody_publishes_without_a_word() -> None:
    settings = yaml.safe_load(compose()["configs"]["mediamtx"]["content"])
    for user in settings["authInternalUsers"]:
        assert user["user"] != "any"
        assert user["pass"] == SET["BRIDGE_PASSWORD"]
