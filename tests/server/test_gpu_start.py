"""A server asks for GPUs once, at start, in a child; a driver that crashes does not take it along."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from gpu.cuda import libraries
from server import serve
from server.app import make_app
from server.config import Config
from server.state import STATE
from tests.gpu.cuda.conftest import (  # noqa: F401  # fixtures
    driver_folder,
    fake_gpu,
    gpu_folder,
    kernel_library,
)
from tests.gpu.cuda.fake import FakeDriver


async def started() -> tuple[list[str], TestServer]:
    """(what the server says when it is ready, the server)."""
    server = TestServer(make_app(Config(model="passthrough")))
    await server.start_server()
    assert server.runner is not None
    said: list[str] = []
    serve._announce(Config(model="passthrough"), server.app, 8080, said.append)  # type: ignore[arg-type]
    return said, server


async def test_the_gpus_are_said_and_kept(
    fake_gpu: FakeDriver,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_CUDA_NAME", "NVIDIA L4")
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "h264")
    said, server = await started()
    try:
        (line,) = [line for line in said if line.startswith("GPU 0")]
        assert "NVIDIA L4: decodes h264; encodes h264, hevc, av1" in line
        (paths,) = [line for line in said if line.startswith("Paths: ")]
        assert "passthrough: decode NVDEC, edit CUDA on the NVIDIA L4, encode NVENC" in paths
        assert server.app[STATE].gpus.gpus[0].name == "NVIDIA L4"
    finally:
        await server.close()


async def test_a_driver_that_crashes_does_not_take_the_server_along(
    fake_gpu: FakeDriver,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_CUDA_CRASH", "segv")
    said, server = await started()
    async with TestClient(server) as client:
        reply = await client.get("/healthz")
        assert isinstance(reply, aiohttp.ClientResponse)
        assert reply.status == 200
        assert not any(line.startswith("GPU") for line in said)
        assert "SIGSEGV" in server.app[STATE].gpus.problem


async def test_without_a_driver_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(libraries.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr("gpu.cuda.probe.plausible", lambda: False)
    said, server = await started()
    await server.close()
    assert not any(line.startswith("GPU") for line in said)
