"""What the machine itself must offer: Python, CPU cores, the page, the port, the certificate."""

from __future__ import annotations

import platform
import socket
import sys
from pathlib import Path

from gpu.cores import usable_cores
from server.config import Config
from server.doctor.finding import Finding
from server.errors import ConfigError
from server.serve import listen_remedy, tls_context


def python() -> Finding:
    """The interpreter's version."""
    return Finding(
        name="Python",
        ok=sys.version_info >= (3, 11),
        detail=platform.python_version(),
        remedy="install Python 3.11 or newer",
    )


def cpu() -> Finding:
    """Cores this process may use, and what they can do."""
    usable = usable_cores()
    name, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        facts = dict(_cpu_facts(cpuinfo.read_text(errors="replace")))
        name = facts.get("model name", name)
        wanted = ("avx2", "avx512f", "avx512_vnni", "amx_bf16", "asimd")
        flags = " ".join(flag for flag in wanted if flag in facts.get("flags", "").split())
    return Finding(
        name="CPU",
        ok=usable >= 2,
        detail=f"{name}, {usable} usable cores {flags}".rstrip(),
        remedy="two cores are needed for a steady picture",
        needed=False,
    )


def _cpu_facts(text: str) -> list[tuple[str, str]]:
    pairs = [line.split(":", 1) for line in text.split("\n\n", 1)[0].splitlines() if ":" in line]
    return [(key.strip(), value.strip()) for key, value in pairs]


def port(config: Config) -> Finding:
    """Whether the server could listen where it is told to."""
    name = f"port {config.port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return Finding(
            name=name,
            ok=False,
            detail=f"{config.host}: {error.strerror or error}",
            remedy=listen_remedy(error),
        )
    return Finding(name=name, ok=True, detail=f"free on {config.host}")


def tls(config: Config) -> list[Finding]:
    """Only where one is asked for."""
    if not config.tls_cert:
        return []
    try:
        tls_context(config)
    except ConfigError as error:
        return [Finding(name="TLS", ok=False, detail=str(error))]
    return [Finding(name="TLS", ok=True, detail=config.tls_cert)]


def page(config: Config) -> Finding:
    """Whether the page is built."""
    built = (config.web_path / "index.html").is_file()
    detail = "built" if built else f"there is no index.html in {config.web_path}"
    remedy = "run make setup" + (", or give --web-dir the folder it builds into" if config.web_dir else "")
    return Finding(name="page", ok=built, detail=detail, remedy=remedy)
