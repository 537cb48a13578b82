"""The command as people type it: real processes, their first line, their end, their exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from visitor import Visitor, until

from gpu.models.registry import list_large, list_models
from server.__main__ import main
from server.config import Config
from server.doctor import machine


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command sets up logging for its process; these tests run it in theirs."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


RELENS = [sys.executable, "-m", "server"]


@contextlib.asynccontextmanager
async def running(*flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """`relens serve` on a free port: (process, base URL, its first line)."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RELENS_")}
    process = await asyncio.create_subprocess_exec(
        *RELENS, "serve", "--model", "passthrough", "--port", "0", *flags,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environ,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 40)).decode()
        match = re.search(r"(https?)://[^/]*?:(\d+)/", line)
        assert match, line
        yield process, f"{match[1]}://127.0.0.1:{match[2]}", line
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_serve_says_where_and_sigterm_drains_a_live_session() -> None:
    async with running("--drain-s", "1") as (process, base, line), aiohttp.ClientSession() as http:
        assert "passthrough" in line
        assert "ready" in line
        visitor = await Visitor(base, http).connect()
        await until(lambda: visitor.pictures > 3)
        process.send_signal(signal.SIGTERM)
        await visitor.hears("error", code="going-away")
        newcomer = Visitor(base, http)
        reply = await newcomer.offer()
        assert reply.status == 503
        assert "Retry-After" in reply.headers
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert process.stderr is not None
        errors = (await process.stderr.read()).decode()
        assert "Traceback" not in errors
        assert "never retrieved" not in errors
        await visitor.leave()
        await newcomer.leave()


async def test_second_signal_ends_at_once() -> None:
    async with running("--drain-s", "600") as (process, base, _), aiohttp.ClientSession() as http:
        visitor = await Visitor(base, http).connect()
        process.send_signal(signal.SIGINT)
        await visitor.hears("error", code="going-away")
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        await visitor.leave()


async def test_serve_speaks_https_with_a_certificate(tmp_path: Path) -> None:
    made = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await made.wait() == 0
    flags = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    async with running(*flags) as (_, base, line), aiohttp.ClientSession() as http:
        assert "https://" in line
        async with http.get(base + "/healthz", ssl=False) as reply:
            assert reply.status == 200


def fails(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert last.startswith("relens: ")
    return last


def test_unusable_settings_are_a_message_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "passthrough" in fails(capsys, "serve", "--model", "nothing")
    assert "65535" in fails(capsys, "serve", "--port", "70000")
    assert "nowhere.toml" in fails(capsys, "serve", "--config", "/nowhere.toml")
    (tmp_path / "cert.pem").write_text("no certificate", encoding="utf-8")
    pem = str(tmp_path / "cert.pem")
    assert "tls_key" in fails(
        capsys, "serve", "--model", "passthrough", "--port", "0", "--tls-cert", pem, "--tls-key", pem
    )
    monkeypatch.setenv("RELENS_PROT", "1")
    assert "nearest key is port" in fails(capsys, "serve")


def test_port_that_is_taken_is_named_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = fails(capsys, "serve", "--model", "passthrough", "--port", port)
        assert port in said
        assert "--port" in said
        finding = machine.port(Config(port=int(port)))
        assert not finding.ok
        assert "--port" in finding.remedy


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    every = dict.fromkeys(spec.name for spec in (*list_models(), *list_large()))
    assert [model["name"] for model in listed] == list(every)
    assert all(model["name"] in text for model in listed)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("relens 0.")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_named_as_such(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--model", "passthrough", "--port", "0", "--host", host]) == 2
    said = capsys.readouterr().err
    assert host in said
    assert "--host" in said
    assert "another program" not in said


def test_a_thread_that_is_deep_in_a_library_does_not_abort_the_end() -> None:
    """As it would: unwound by the interpreter at its end, C++ calls `terminate`."""
    code = """
import threading, time
from server.__main__ import leave_threads
threading.Thread(target=time.sleep, args=(60,), name="relens-worker", daemon=True).start()
leave_threads(3)
raise SystemExit(4)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 3
    assert "relens-worker" in done.stderr
