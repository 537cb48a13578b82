"""A camera that publishes by RTMP, in a process of its own: `python -m bench.rtmp_camera CONFIG_JSON`.

Sends a loop of H.264 baseline and AAC in real time, encoded beforehand, a number drawn into each picture, and
notes when each was handed to the connection: what its encoder costs is nobody's latency. Same lines of JSON
as bench.client. Knows RTMP as encoders speak it; asks nobody for a keyframe and is asked for none.
"""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import av
import msgspec
import numpy as np

from bench.client import ClientReport, say
from bench.clip import load_clip
from bench.error import BenchError
from bench.frameid import draw_id
from server.rtmp import messages
from server.rtmp.amf0 import Value
from server.rtmp.chunks import ChunkLimits, ChunkReader, ChunkWriter, Message
from server.rtmp.handshake import PART_BYTES
from server.rtmp.messages import Command, read_command
from server.rtmp.nal import to_lengths

AUDIO_HZ, AAC_SAMPLES = 48_000, 1024
LOOP_FRAMES = 256  # no number comes twice within ten seconds
_KEYFRAME_FRAMES = 64  # as far apart as OBS makes them, about
_AAC_HEAD = 0xAF  # FLV 10.1 §E.4.2.1: AAC, always said to be 44 kHz stereo of 16 bits
_KEY, _INTER = 0x17, 0x27  # §E.4.3.1: AVC
_COMMAND_STREAM, _AUDIO_STREAM, _VIDEO_STREAM = 3, 4, 6
_CHUNK_BYTES = 4096  # as OBS and FFmpeg send
_ANSWER_S = 10.0


class CameraConfig(msgspec.Struct, frozen=True):
    url: str = ""  # rtmp://host:port/app/stream?key=...
    width: int = 640
    height: int = 360
    fps: int = 24
    bitrate_bps: int = 1_500_000
    max_s: float = 120.0  # the process ends itself then, whatever its parent does


@dataclass(frozen=True, slots=True)
class Loop:
    """FLV payloads: what comes first, and what comes over and over."""

    video_head: bytes
    video: list[bytes]
    audio_head: bytes
    audio: list[bytes]


def encode_loop(config: CameraConfig) -> Loop:
    """Takes a second or two. The numbers are 0 to LOOP_FRAMES - 1."""
    clip = load_clip("", config.width, config.height)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = config.width, config.height, "yuv420p"
    encoder.bit_rate = config.bitrate_bps
    encoder.time_base, encoder.framerate = fractions.Fraction(1, config.fps), fractions.Fraction(config.fps)
    encoder.profile = "Baseline"
    encoder.options = {
        "tune": "zerolatency",
        "preset": "veryfast",
        "x264-params": f"keyint={_KEYFRAME_FRAMES}:min-keyint={_KEYFRAME_FRAMES}:scenecut=0",
    }
    head, video = b"", []
    for number in range(LOOP_FRAMES):
        picture = clip.frame(number)
        draw_id(picture[: clip.height], number)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = number
        for packet in encoder.encode(frame):
            data, record = to_lengths(bytes(packet))
            head = head or bytes((_KEY, 0, 0, 0, 0)) + record
            video.append(bytes((_KEY if packet.is_keyframe else _INTER, 1, 0, 0, 0)) + data)
    return Loop(head, video, *_encode_sound(LOOP_FRAMES / config.fps))


def _encode_sound(seconds: float) -> tuple[bytes, list[bytes]]:
    """A quiet tone of about so long: (the head, frames)."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = AUDIO_HZ, "stereo", "fltp"
    encoder.bit_rate = 128_000
    out = []
    for number in range(round(seconds * AUDIO_HZ / AAC_SAMPLES)):
        at = (np.arange(AAC_SAMPLES) + number * AAC_SAMPLES) / AUDIO_HZ
        tone = (0.1 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
        frame.sample_rate, frame.pts = AUDIO_HZ, number * AAC_SAMPLES
        out += [bytes((_AAC_HEAD, 1)) + bytes(packet) for packet in encoder.encode(frame)]
    return bytes((_AAC_HEAD, 0)) + bytes(encoder.extradata or b""), out


@dataclass(frozen=True, slots=True)
class Due:
    """One message of media: `number` of its picture, -1 for sound."""

    time_s: float
    number: int
    payload: bytes


def in_time(loop: Loop, fps: int) -> Iterator[Due]:
    """Pictures and sound for ever, in the order of their times."""
    pictures = sounds = 0
    while True:
        picture_s, sound_s = pictures / fps, sounds * AAC_SAMPLES / AUDIO_HZ
        if picture_s <= sound_s:
            number = pictures % len(loop.video)
            yield Due(picture_s, number, loop.video[number])
            pictures += 1
        else:
            yield Due(sound_s, -1, loop.audio[sounds % len(loop.audio)])
            sounds += 1


class RtmpCamera:
    """`publish`, then `run` until it is cancelled; `close`."""

    def __init__(self, config: CameraConfig) -> None:
        self._config = config
        self.report = ClientReport()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._in, self._out = ChunkReader(ChunkLimits()), ChunkWriter()
        self._heard: list[Command] = []
        self._stream = 0

    async def publish(self) -> None:
        """Until the server says that it takes it. Raises BenchError, OSError."""
        at = urlsplit(self._config.url)
        _, app, name = at.path.split("/", 2)
        async with asyncio.timeout(_ANSWER_S):
            self._reader, self._writer = await asyncio.open_connection(at.hostname, at.port)
            self._writer.write(b"\x03" + bytes(8) + os.urandom(PART_BYTES - 8))
            answer = await self._reader.readexactly(1 + 2 * PART_BYTES)
            self._writer.write(answer[1 : 1 + PART_BYTES])
            self._writer.write(self._out.set_chunk_size(_CHUNK_BYTES))
            self._call("connect", 1, {"app": app, "tcUrl": f"rtmp://{at.netloc}/{app}"})
            await self._answer("_result")
            self._call("createStream", 2, None)
            made = await self._answer("_result")
            self._stream = int(next((a for a in made.arguments if isinstance(a, float)), 1))
            self._call("publish", 3, None, f"{name}?{at.query}", "live")
            status = (await self._answer("onStatus")).arguments[0]
        if not isinstance(status, dict) or status.get("code") != "NetStream.Publish.Start":
            raise BenchError(f"publishing by RTMP was answered {status}")

    async def run(self, loop: Loop) -> None:
        """Sends, and reads away what comes, until the server hangs up. Raises BenchError then."""
        assert self._reader is not None
        sending = asyncio.ensure_future(self._send(loop))
        try:
            with contextlib.suppress(ConnectionError):
                while await self._reader.read(65_536):
                    pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        raise BenchError("the server hung up")

    async def _send(self, loop: Loop) -> None:
        assert self._writer is not None
        self._media(messages.VIDEO, 0, loop.video_head)
        self._media(messages.AUDIO, 0, loop.audio_head)
        began_s = time.monotonic()
        for due in in_time(loop, self._config.fps):
            await asyncio.sleep(max(0.0, began_s + due.time_s - time.monotonic()))
            time_ms = round(due.time_s * 1000)
            if due.number < 0:
                self._media(messages.AUDIO, time_ms, due.payload)
                continue
            self.report.sent.append((due.number, round(due.time_s * 90_000), time.monotonic_ns()))
            self._media(messages.VIDEO, time_ms, due.payload)
            if len(self.report.sent) == 1:
                say({"event": "publishing"})
            await self._writer.drain()

    def _media(self, kind: int, time_ms: int, payload: bytes) -> None:
        assert self._writer is not None
        chunks = _VIDEO_STREAM if kind == messages.VIDEO else _AUDIO_STREAM
        self._writer.write(self._out.write(chunks, Message(kind, time_ms, self._stream, payload)))

    def _call(self, name: str, transaction: float, *values: Value) -> None:
        assert self._writer is not None
        said = messages.command(self._stream, name, transaction, *values)
        self._writer.write(self._out.write(_COMMAND_STREAM, said))

    async def _answer(self, name: str) -> Command:
        """Raises BenchError where it is no."""
        assert self._reader is not None
        while True:
            while self._heard:
                said = self._heard.pop(0)
                if said.name == name:
                    return said
                if said.name == "_error":
                    raise BenchError(f"the server refused it: {said.arguments}")
            if not (data := await self._reader.read(65_536)):
                raise BenchError(f"the server hung up before {name}")
            self._heard += [read_command(m) for m in self._in.push(data) if m.kind == messages.COMMAND]

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


async def main(config: CameraConfig) -> None:
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader(limit=1 << 16)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    camera = RtmpCamera(config)
    running: asyncio.Task[Any] | None = None
    try:
        media = encode_loop(config)
        await camera.publish()
        running = asyncio.create_task(camera.run(media))
        running.add_done_callback(lambda task: say({"event": "state", "state": "closed"}))
        while line := await stdin.readline():  # an empty read: the parent is gone, and so are we
            if msgspec.json.decode(line)["do"] == "stop":
                say({"event": "report", "report": msgspec.to_builtins(camera.report)})
                break
    finally:
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        camera.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    chosen = msgspec.json.decode(sys.argv[1] if len(sys.argv) > 1 else "{}", type=CameraConfig)
    signal.alarm(int(chosen.max_s) + 10)
    asyncio.run(main(chosen))
