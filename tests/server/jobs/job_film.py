"""A film of several scenes made by libav, put straight into what is kept; and what the tests ask of jobs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gpu.film.reader import open_film
from gpu.models.passthrough import PassthroughModel
from server.kept.kept import Kept
from server.kept.keys import video_key
from server.uploads.told import told
from tests.server.visitor import Served, serving

W, H, FPS = 64, 48, 25


def make_scenes(
    path: Path, seconds: Sequence[float] = (2, 1.5, 2.5), sound: bool = True, size: tuple[int, int] = (W, H)
) -> Path:
    """Each scene has a pattern of its own that moves a little."""
    width, height = size
    frames = 0
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "16", "bf": "2"}
        audio: Any = out.add_stream("aac", rate=48000) if sound else None
        if audio is not None:
            audio.layout = "mono"
        for scene, length in enumerate(seconds):
            noise = np.random.default_rng(scene).integers(30, 220, (height // 8, width // 8), np.uint8)
            for step in range(round(length * FPS)):
                planes = np.full((height * 3 // 2, width), 70 + 40 * (scene % 4), np.uint8)
                planes[:height] = np.roll(np.kron(noise, np.ones((8, 8), np.uint8)), step, axis=1)
                picture: Any = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                picture.pts, picture.time_base = frames, Fraction(1, FPS)
                frames += 1
                out.mux(video.encode(picture))
        out.mux(video.encode(None))
        if audio is not None:
            for start in range(0, frames * 48000 // FPS, 1024):
                wave = np.sin(np.arange(start, start + 1024) * 440 * 2 * np.pi / 48000)
                block: Any = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
                block.sample_rate, block.pts, block.time_base = 48000, start, Fraction(1, 48000)
                out.mux(audio.encode(block))
            out.mux(audio.encode(None))
    return path


def add_film(kept: Kept, path: Path, name: str = "My film.mov") -> str:
    """As if it had been uploaded and looked into; the video's id."""
    data = path.read_bytes()
    with open_film(path) as reader:
        info = reader.info
    video = kept.videos.create(name, len(data))
    key = video_key(video.id, "film")
    kept.blobs.put(key, path)
    digest = hashlib.sha256(data).hexdigest()
    kept.videos.uploaded(video.id, digest=digest, size=len(data), blob_key=key)
    kept.videos.ready(video.id, told(info))
    return video.id


class Jobs:
    """One server, asked over HTTP."""

    def __init__(self, served: Served) -> None:
        self.served, self.http, self.base = served, served.http, served.base
        kept, runner = served.state.kept, served.state.jobs
        assert kept is not None
        assert runner is not None
        self.kept, self.runner = kept, runner

    async def add(self, path: Path, name: str = "My film.mov") -> str:
        return await asyncio.to_thread(add_film, self.kept, path, name)

    async def post(
        self, video: str, key: str | None = None, status: int = 202, **body: Any
    ) -> dict[str, Any]:
        headers = {"Idempotency-Key": key} if key else {}
        said = {"video_id": video, **body}
        if "instruction" not in said and "timeline" not in said:
            said["timeline"] = {"edits": []}
        async with self.http.post(self.base + "/edit-video", json=said, headers=headers) as reply:
            answer: dict[str, Any] = await reply.json(content_type=None)
            assert reply.status == status, answer
            return answer

    async def get(self, path: str, status: int = 200) -> dict[str, Any]:
        async with self.http.get(self.base + path) as reply:
            answer: dict[str, Any] = await reply.json(content_type=None)
            assert reply.status == status, answer
            return answer

    async def until(self, job: str, *states: str, seconds: float = 30.0) -> dict[str, Any]:
        deadline_s = time.monotonic() + seconds
        while True:
            found = await self.get(f"/jobs/{job}")
            if found["status"] in states:
                return found
            assert time.monotonic() < deadline_s, found
            assert found["status"] not in ("FAILED", "CANCELLED", "DONE"), found
            await asyncio.sleep(0.05)

    async def result(self, job: str) -> bytes:
        async with self.http.get(f"{self.base}/jobs/{job}/result") as reply:
            assert reply.status == 200, await reply.text()
            return await reply.read()

    def segments(self, how: str) -> int:
        """Counted in this process."""
        return int(getattr(self.runner.board.counted(), how))


@contextlib.asynccontextmanager
async def working(folder: Path, **settings: Any) -> AsyncIterator[Jobs]:
    """One worker unless `settings` says otherwise: segments are rendered in order."""
    said = {"data_dir": str(folder), "media": "cpu", "render_workers": 1, **settings}
    async with serving(**said) as served:
        yield Jobs(served)


def shown(path: Path) -> tuple[list[int], list[float]]:
    """(pts in ticks, mean luma) of every frame, decoded."""
    times, lumas = [], []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            times.append(round(frame.pts * frame.time_base * 90_000))
            lumas.append(float(frame.to_ndarray()[: frame.height].mean()))
    return times, lumas


class Brake:
    """Holds the passthrough model's steps: each frame needs one of those that were let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._free = threading.Event()
        self._let = threading.Semaphore(0)
        self.stepped = 0
        step = PassthroughModel.step

        def held(model: PassthroughModel, state: Any, chunk: Sequence[Any]) -> list[Any]:
            if not self._free.is_set():
                assert self._let.acquire(timeout=30), "the brake was never let go"
            self.stepped += 1
            return step(model, state, chunk)

        monkeypatch.setattr(PassthroughModel, "step", held)

    def let(self, frames: int) -> None:
        self._let.release(frames)

    def go(self) -> None:
        self._free.set()
        self._let.release(1000)
