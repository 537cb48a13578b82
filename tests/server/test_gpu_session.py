"""Sessions over real WebRTC whose pictures stay in the memory of a (fake) GPU."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from aiortc import RTCRtpSender, VideoStreamTrack
from visitor import Visitor, serving, until

from gpu.errors import NoGpu
from gpu.types import U8
from server.problem import problem_of
from tests.gpu.cuda.conftest import (  # noqa: F401  # fixtures
    driver_folder,
    fake_gpu,
    gpu_folder,
    kernel_library,
)
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvdec import Pcm, pcm  # noqa: F401
from tests.gpu.cuda.fake_nvenc import nv12

W, H = 64, 48
FPS = 20
KEYFRAMES = 10  # one in so many


class PcmCamera(VideoStreamTrack):
    """Sends H.264 that the fake NVDEC reads, already encoded; picture i is nv12(i)."""

    def __init__(self, pcm: Pcm) -> None:  # noqa: F811
        super().__init__()
        self._pcm, self._count, self._began = pcm, 0, time.monotonic()

    async def recv(self) -> Any:
        number = self._count
        self._count += 1
        await asyncio.sleep(max(0.0, self._began + number / FPS - time.monotonic()))
        unit = self._pcm.unit(nv12(number, W, H), number % KEYFRAMES)
        packet = av.Packet(unit.data)
        packet.pts, packet.time_base = number * 90_000 // FPS, Fraction(1, 90_000)
        return packet


async def connected(base: str, http: aiohttp.ClientSession, pcm: Pcm) -> tuple[Visitor, list[U8]]:  # noqa: F811
    """(a visitor that sends H.264 alone, the luma of each picture that came back)."""
    visitor = Visitor(base, http, camera=PcmCamera(pcm))
    (transceiver,) = [t for t in visitor.pc.getTransceivers() if t.kind == "video"]
    offered = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences([codec for codec in offered if codec.mimeType == "video/H264"])
    came: list[U8] = []
    visitor.on_picture = lambda picture: came.append(picture.to_ndarray(format="yuv420p")[:H].copy())
    return await visitor.connect(), came


def exact(came: list[U8]) -> bool:
    """Whether every picture is one of those sent, to the byte, and none comes before an earlier one."""
    sent = {nv12(number, W, H)[:H].tobytes(): number for number in range(400)}
    numbers = [sent.get(luma.tobytes(), -1) for luma in came]
    return min(numbers) >= 0 and numbers == sorted(numbers)


@contextlib.asynccontextmanager
async def server(folder: Path, kernels: Path, *flags: str) -> AsyncIterator[tuple[str, list[str]]]:
    """`relens serve` on the fake GPU in a process of its own: (base URL, what it said)."""
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("RELENS_", "FAKE_"))}
    environ |= {"RELENS_NVIDIA_LIBRARIES": str(folder), "FAKE_CUDA_KERNELS": str(kernels)}
    environ["FAKE_CUDA_NAME"] = "NVIDIA L4"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", "serve", "--model", "passthrough", "--port", "0", *flags,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environ,
    )  # fmt: skip
    said: list[str] = []
    try:
        assert process.stdout is not None
        while not any(line.startswith("Paths:") for line in said):
            said.append((await asyncio.wait_for(process.stdout.readline(), 40)).decode())
            assert said[-1], said
        match = re.search(r"http://[^/]*?:(\d+)/", said[0])
        assert match, said
        yield f"http://127.0.0.1:{match[1]}", said
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
        _, errors = await process.communicate()
        assert b"Traceback" not in errors, errors.decode()


async def test_a_session_from_bitstream_to_bitstream_on_the_gpu(
    gpu_folder: Path,  # noqa: F811
    kernel_library: Path,  # noqa: F811
    pcm: Pcm,  # noqa: F811
) -> None:
    async with (
        server(gpu_folder, kernel_library, "--media", "gpu", "--drain-s", "0") as (base, said),
        aiohttp.ClientSession() as http,
    ):
        assert "passthrough: decode NVDEC, edit CUDA on the NVIDIA L4, encode NVENC" in said[-1]
        async with http.get(f"{base}/models") as reply:
            models = {model["name"]: model for model in (await reply.json())["models"]}
        assert models["passthrough"]["path"] == "decode NVDEC, edit CUDA on the NVIDIA L4, encode NVENC"
        assert "the model computes on the CPU" in models["nano"]["path"]
        visitor, came = await connected(base, http, pcm)
        await until(lambda: len(came) > 20, what="pictures come back")
        visitor.edit(1)
        await visitor.hears("applied", revision=1)
        stats = await visitor.hears("stats", decoder="NVDEC", encoder="NVENC")
        assert (stats["width"], stats["height"]) == (W, H)
        assert exact(came)
        await visitor.leave()


async def test_a_gpu_that_is_lost_ends_the_session_and_the_next_one_does_without(
    fake_gpu: FakeDriver,  # noqa: F811
    pcm: Pcm,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as served:
        visitor, came = await connected(served.base, served.http, pcm)
        await until(lambda: len(came) > 5, what="pictures come back")
        monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "20")
        error = await visitor.hears("error", code="stream-failed")
        assert "the GPU is lost to this process: restart the server" in error["message"]
        await visitor.leave()
        await until(lambda: len(served.state.sessions) == 0)
        visitor, came = await connected(served.base, served.http, pcm)
        await until(lambda: len(came) > 5, what="pictures come back")
        await visitor.hears("stats", decoder="libav", encoder="libx264")
        async with served.http.get(f"{served.base}/models") as reply:
            models = {model["name"]: model for model in (await reply.json())["models"]}
        assert "because the GPU is lost" in models["passthrough"]["path"]
        await visitor.leave()
    assert fake_gpu.lost


async def test_cpu_never_touches_the_gpu(fake_gpu: FakeDriver, pcm: Pcm) -> None:  # noqa: F811
    async with serving(media="cpu") as served:
        visitor, came = await connected(served.base, served.http, pcm)
        await until(lambda: len(came) > 5, what="pictures come back")
        await visitor.hears("stats", decoder="libav", encoder="libx264")
        await visitor.leave()
        assert "media is cpu" in served.state.media.problem
    assert fake_gpu.count("calls") == 0


async def test_gpu_does_not_start_without_one(
    fake_gpu: FakeDriver,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    with pytest.raises(NoGpu, match="media is gpu, and no GPU can be used"):
        async with serving(media="gpu"):
            pass
    async with serving() as served:
        assert served.state.media.problem


def test_a_model_whose_gpu_is_gone_is_no_fault_of_the_request() -> None:
    answer = problem_of(NoGpu("model live runs on a GPU only, and none can be used: the GPU is lost"))
    assert answer.status == 503
    assert isinstance(answer.body, bytes)
    assert b"the GPU is lost" in answer.body
