"""Owns the server's settings: one frozen object from TOML, then environment, then flags, validated once.

Each key is documented where it is declared; server/CONFIG.md is generated from here
(`python -m server.config`, `--check`). Nothing else in the server reads the environment.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, cast, get_args

from gpu.codec.base import ENCODES
from gpu.media import Mode
from gpu.models.settings import CHUNKS, STEPS, Autoencoding, ModelSettings, PassEngineKind
from gpu.types import Codec
from server.errors import ConfigError
from server.peer.types import IceServer
from server.proxies import TRUSTED, Proxies

ENV_PREFIX = "RELENS_"
NOT_KEYS = ("config", "nvidia_libraries")  # read elsewhere: server/__main__.py, gpu/cuda/libraries.py
DOC_PATH = Path(__file__).with_name("CONFIG.md")
REPOSITORY = Path(__file__).parent.parent

_YES, _NO = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off", ""})
LOOPBACK = ("127.0.0.1", "::1", "localhost")  # addresses and names that only this machine reaches


def _key(default: Any, doc: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"doc": doc, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting. Times in seconds, rates in bits or messages a second."""

    host: str = _key("127.0.0.1", "Address to listen on; `0.0.0.0` opens it to the network.")
    port: int = _key(8080, "TCP port of the page and the API; 0 takes a free one.", 0, 65_535)
    tls_cert: str = _key("", "PEM certificate chain; with `tls_key` the page is served by HTTPS.")
    tls_key: str = _key("", "PEM private key of `tls_cert`.")
    model: str = _key(
        "auto",
        "Edit model loaded at start, see `relens models`; `auto`: `nano-plus` where a measurement finds that "
        "this machine holds it, else `nano`.",
    )
    media: str = _key(
        "auto",
        "Where pictures are decoded, kept and encoded. `auto`: on the GPU for models that take them there, "
        "else on the CPU; `cpu`: never touch a GPU; `gpu`: as `auto`, but do not start without one.",
    )
    threads: int = _key(0, "CPU threads of the model; 0: as many as fit the machine.", 0, 256)
    models_dir: str = _key(
        "",
        "Folder of the large models' weights, as `relens models` lays it out or as the hub's repositories "
        "are; empty: ~/.cache/relens/models.",
    )
    data_dir: str = _key(
        "",
        "Folder for films, what is rendered of them and the database; empty: relens in $XDG_DATA_HOME where "
        "that is set, else ~/.local/share/relens.",
    )
    database_url: str = _key(
        "",
        "Database, as SQLAlchemy names it: postgresql+psycopg://user@host/name; empty: SQLite in data_dir.",
    )
    storage_url: str = _key(
        "",
        "Where films and results lie: a folder, or s3://bucket/prefix with keys and endpoint from the "
        "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION); empty: "
        "data_dir.",
    )
    keep_days: float = _key(
        30.0,
        "Films that nobody used, and edits of sessions that ended, so many days ago are deleted; 0: never.",
        0,
        3650,
    )
    most_video_bytes: int = _key(20 << 30, "The largest film that is taken.", 1, 1 << 50)
    render_workers: int = _key(
        5,
        "Spans of films rendered at once, at most: one for each core and one more, with 100 to 200 MB each "
        "while there is work. 1: with the streams' model; 0: this server takes jobs, and others render them.",
        0,
        16,
    )
    quota_bytes: int = _key(200 << 30, "Of all films and what is rendered of them; 0: no limit.", 0, 1 << 60)
    chunk_frames: int = _key(
        4, "Pictures that the liveedit models edit together: 4 for little delay, 12 as LiveEdit was trained."
    )
    pass_engine: str = _key(
        "auto",
        "What runs the network of the liveedit models. `auto`: PyTorch, with CUDA graphs on a GPU; or "
        "`eager`, `graphs`, `onnxruntime`, `tensorrt` (builds for minutes at the first start).",
    )
    denoise_steps: int = _key(
        4, "Passes of the liveedit models a chunk: 4, or 2 for nearly twice the pace and less detail."
    )
    fp8: bool = _key(
        False,
        "The liveedit models multiply 8-bit floats, on GPUs that have them (SM 8.9 and later): faster, less "
        "exact. With every pass_engine but onnxruntime; tensorrt measures its ranges once, before it builds.",
    )
    mask_cache: bool = _key(
        False,
        "Let the liveedit models compute less where the chunk before changed nothing; needs 4 denoise_steps.",
    )
    autoencoder: str = _key(
        "tiny", "Of the liveedit models. `tiny`: fast; `wan`: Wan's own, slower and more faithful."
    )
    random_weights: bool = _key(
        False, "Run the liveedit models without trained weights: for measuring only, the page says so."
    )
    max_sessions: int = _key(
        4, "Sessions and live streams at once, all together; one more is answered 503.", 1, 10_000
    )
    max_sessions_each: int = _key(
        3,
        "Who has so many sessions open from one address gets none of the last places, a quarter of them and "
        "at least one; 0: nothing is kept for others. This machine itself is not counted, streams neither.",
        0,
        10_000,
    )
    idle_s: float = _key(30.0, "A session without media for this long ends.", 0.1, 86_400)
    gives_way_s: float = _key(
        120.0,
        "A session that is paused, or whose film stands, and in which nothing was done for this long gives "
        "its place to who finds none free.",
        0.1,
        86_400,
    )
    paused_s: float = _key(1_800.0, "It ends after this long in any case; 0: never.", 0, 31_536_000)
    max_session_s: float = _key(0.0, "A session ends after this long; 0: never.", 0, 31_536_000)
    connect_timeout_s: float = _key(15.0, "Time a new session has to connect.", 0.1, 300)
    lost_s: float = _key(
        15.0,
        "A visitor whose network is silent for this long is gone; until then it may come back.",
        0.5,
        300,
    )
    open_timeout_s: float = _key(30.0, "Time a model has to open a stream.", 0.1, 600)
    drain_s: float = _key(10.0, "After SIGTERM sessions may go on for this long.", 0, 3_600)
    rtmp_port: int = _key(
        1935, "TCP port that OBS and other encoders publish to by RTMP, beside `port`; 0: no RTMP.", 0, 65_535
    )
    operator_key: str = _key(
        "",
        "Who shows it as a bearer token may see and change streams, their keys and targets; empty: this "
        "machine alone may. Behind a proxy on this machine, set it: a proxy that adds no header of its own "
        "(X-Forwarded-For, Via) and calls the server by a local name makes everybody look as if here.",
    )
    max_viewers: int = _key(50, "Viewers of all streams together; targets are not counted.", 1, 10_000)
    linger_s: float = _key(
        10.0, "A stream whose publisher broke off keeps its viewers and its picture for so long.", 0, 3_600
    )
    ice_servers: tuple[IceServer, ...] = _key(
        (),
        "STUN and TURN servers, also handed to the page. TOML: `[[ice_servers]]` tables with `urls`, "
        "`username`, `credential`; environment and flag: URLs separated by commas, or the same as JSON.",
    )
    min_bitrate_bps: int = _key(150_000, "Floor of the edited video's bitrate.", 30_000, 100_000_000)
    start_bitrate_bps: int = _key(1_500_000, "Bitrate before the network was measured.", 30_000, 100_000_000)
    max_bitrate_bps: int = _key(6_000_000, "Ceiling of the edited video's bitrate.", 30_000, 100_000_000)
    max_fps: float = _key(
        30.0, "Pictures a second given to the model; faster cameras are thinned out.", 1, 120
    )
    codecs: tuple[str, ...] = _key(
        ("h264", "vp8", "hevc", "av1", "vp9"),
        "Video codecs that are taken, the preferred one first. Sent back is the first of them that this "
        "machine encodes and the peer takes: h264 or vp8 where no GPU does more.",
    )
    messages_per_s: float = _key(50.0, "Data-channel messages a session may send.", 1, 10_000)
    message_burst: int = _key(100, "Messages it may send at once.", 1, 10_000)
    allowed_origins: tuple[str, ...] = _key((), "Other origins whose pages may use the API, or `*`.")
    trusted_proxies: tuple[str, ...] = _key(
        TRUSTED,
        "Addresses or networks of proxies that are believed: in whom they name by X-Forwarded-For, by which "
        "wrong keys and connections are counted, and in what they were called (X-Forwarded-Proto, -Host, "
        "-Port), which is shown for OBS. A list replaces this one; none of it makes anybody operator.",
    )
    max_body_bytes: int = _key(262_144, "Largest HTTP request body.", 1_024, 16_777_216)
    web_dir: str = _key("", "Folder of the built page; empty: web/dist of this checkout.")
    log_level: str = _key("info", "One of debug, info, warning, error.")

    def __post_init__(self) -> None:
        """Raises ConfigError when values contradict each other."""
        for key in fields(self):
            _check_range(key, getattr(self, key.name))
        if not self.min_bitrate_bps <= self.start_bitrate_bps <= self.max_bitrate_bps:
            raise ConfigError(
                f"min_bitrate_bps ({self.min_bitrate_bps}) <= start_bitrate_bps ({self.start_bitrate_bps}) "
                f"<= max_bitrate_bps ({self.max_bitrate_bps}) must hold: change one of the three"
            )
        Proxies(self.trusted_proxies)
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("tls_cert and tls_key go together: give both or neither")
        for name in ("tls_cert", "tls_key"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise ConfigError(f"{name}: there is no file {path}; give the path of a PEM file")
        known: tuple[Codec, ...] = get_args(Codec)
        if not set(self.codecs) <= set(known) or len(set(self.codecs)) < len(self.codecs):
            raise ConfigError(f"codecs is {list(self.codecs)}: name some of {', '.join(known)}, each once")
        if not set(self.codecs) & set(ENCODES):
            raise ConfigError(
                f"codecs is {list(self.codecs)}: add {' or '.join(ENCODES)}, what any machine can send back"
            )
        for name, allowed in (
            ("chunk_frames", CHUNKS),
            ("denoise_steps", STEPS),
            ("pass_engine", get_args(PassEngineKind)),
            ("autoencoder", get_args(Autoencoding)),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is {getattr(self, name)!r}: {' or '.join(map(str, allowed))}")
        if self.mask_cache and self.denoise_steps != STEPS[0]:
            raise ConfigError(
                f"mask_cache saves nothing with denoise_steps {self.denoise_steps}: take {STEPS[0]}, or do "
                "without it"
            )
        if self.media not in get_args(Mode):
            raise ConfigError(f"media is {self.media!r}: one of {', '.join(get_args(Mode))}")
        levels = ("debug", "info", "warning", "error")
        if self.log_level not in levels:
            raise ConfigError(f"log_level is {self.log_level!r}: one of {', '.join(levels)}")

    @property
    def video_codecs(self) -> tuple[Codec, ...]:
        """`codecs`, checked."""
        return tuple(codec for name in self.codecs for codec in get_args(Codec) if codec == name)

    @property
    def models(self) -> ModelSettings:
        """What models are loaded by."""
        return ModelSettings(
            random_weights=self.random_weights,
            chunk_frames=self.chunk_frames,
            models_dir=self.models_dir,
            engine=cast(PassEngineKind, self.pass_engine),
            steps=self.denoise_steps,
            mask_cache=self.mask_cache,
            fp8=self.fp8,
            autoencoder=cast(Autoencoding, self.autoencoder),
        )

    @property
    def media_mode(self) -> Mode:
        """`media`, checked."""
        return cast(Mode, self.media)

    @property
    def web_path(self) -> Path:
        return Path(self.web_dir) if self.web_dir else REPOSITORY / "web" / "dist"


KEYS: Mapping[str, Field[Any]] = {key.name: key for key in fields(Config)}


def load_config(
    toml_path: str | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """TOML, then RELENS_* of `environ`, then `flags` (None values are left out); the last one wins.

    Raises ConfigError that names the key, its value and the remedy."""
    values: dict[str, Any] = {}
    if toml_path is not None:
        values.update({name: _parse(name, value, toml_path) for name, value in _read_toml(toml_path).items()})
    for variable, text in (environ or {}).items():
        name = variable.removeprefix(ENV_PREFIX).lower()
        if variable.startswith(ENV_PREFIX) and name not in NOT_KEYS and not _of_a_cluster(variable, text):
            values[name] = _parse(name, text, f"environment variable {variable}")
    for name, value in (flags or {}).items():
        if value is not None:
            values[name] = _parse(name, value, f"--{name.replace('_', '-')}")
    return Config(**values)


def _of_a_cluster(variable: str, text: str) -> bool:
    """Whether Kubernetes set it, for a service that is called relens: RELENS_PORT is then no number."""
    linked = re.fullmatch(
        r"RELENS_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)", variable
    )
    return linked is not None or (variable == "RELENS_PORT" and "://" in text)


def _read_toml(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _parse(name: str, value: Any, origin: str) -> Any:
    """`value` as the key's type; text is parsed, wherever it comes from."""
    if name not in KEYS:
        near = difflib.get_close_matches(name, KEYS, n=1, cutoff=0.4)
        hint = f"the nearest key is {near[0]}" if near else f"keys are {', '.join(KEYS)}"
        raise ConfigError(f"{origin}: there is no key {name!r}; {hint}")
    default = KEYS[name].default
    try:
        if name == "ice_servers":
            return _ice_servers(value)
        if isinstance(default, tuple):
            return _strings(value)
        if isinstance(default, bool):
            return _boolean(value)
        if isinstance(default, str):
            return _exactly(value, str)
        if isinstance(default, int):
            return int(value) if isinstance(value, str) else _exactly(value, int)
        return float(value) if isinstance(value, str) else float(_exactly(value, (int, float)))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{origin}: {name} is unusable: {error}; {KEYS[name].metadata['doc']}") from error


def _exactly(value: Any, kind: type | tuple[type, ...]) -> Any:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"it has the type {type(value).__name__}")
    return value


def _boolean(value: Any) -> bool:
    """TOML's own, or text from a variable or flag."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _YES | _NO:
        return value.lower() in _YES
    raise ValueError("true or false is needed")


def _strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, list | tuple):
        raise TypeError("a list of texts is needed")
    return tuple(_exactly(part, str) for part in value)


def _ice_servers(value: Any) -> tuple[IceServer, ...]:
    if isinstance(value, str):
        value = (
            json.loads(value) if value.lstrip().startswith("[") else [{"urls": u} for u in _strings(value)]
        )
    if not isinstance(value, list):
        raise TypeError("a list of servers is needed")
    return tuple(_ice_server(entry) for entry in value)


def _ice_server(entry: Any) -> IceServer:
    if not isinstance(entry, dict) or not set(entry) <= {"urls", "username", "credential"}:
        raise ValueError("each server has urls and maybe username and credential, and nothing else")
    urls = _strings(entry.get("urls", ()))
    for url in urls:
        if url.partition(":")[0] not in ("stun", "stuns", "turn", "turns"):
            raise ValueError(f"{url!r} does not start with stun:, stuns:, turn: or turns:")
        if url.startswith("turn") and not (entry.get("username") and entry.get("credential")):
            raise ValueError(f"{url!r} needs username and credential")
    if not urls:
        raise ValueError("a server without urls")
    username, credential = (entry.get(k) for k in ("username", "credential"))
    for text in (username, credential):
        if text is not None:
            _exactly(text, str)
    return IceServer(urls=urls, username=username, credential=credential)


def _check_range(key: Field[Any], value: Any) -> None:
    low, high = key.metadata["low"], key.metadata["high"]
    if low is not None and high is not None and not low <= value <= high:  # NaN fails too
        raise ConfigError(f"{key.name} is {value}: from {low:g} to {high:g} is allowed")


def reference() -> str:
    """server/CONFIG.md: every key with its default, variable, flag and meaning."""
    lines = [
        "# Settings",
        "",
        "Generated from server/config.py by `python -m server.config`. The last one wins: TOML file",
        "(`--config FILE` or `RELENS_CONFIG`), environment, flag.",
        "",
        "One variable is no key: `RELENS_NVIDIA_LIBRARIES` names the folder of NVIDIA's driver libraries,",
        "for where the system does not find them by itself.",
        "",
        "| key | default | environment | flag | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, key in KEYS.items():
        default = ",".join(key.default) if isinstance(key.default, tuple) else key.default
        default = str(default).lower() if isinstance(default, bool) else default
        low, high = key.metadata["low"], key.metadata["high"]
        span = f" From {low:g} to {high:g}." if low is not None else ""
        flag = f"--{name.replace('_', '-')}"
        variable = ENV_PREFIX + name.upper()
        lines.append(f"| `{name}` | `{default}` | `{variable}` | `{flag}` | {key.metadata['doc']}{span} |")
    return "\n".join(lines).replace("| `` |", "| |") + "\n"


def main(argv: list[str]) -> int:
    """Write CONFIG.md, or with `--check` return 1 when it is stale."""
    if "--check" not in argv:
        DOC_PATH.write_text(reference(), encoding="utf-8")
        return 0
    if DOC_PATH.exists() and DOC_PATH.read_text(encoding="utf-8") == reference():
        return 0
    print(f"{DOC_PATH.name} is stale: run python -m server.config and commit it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
