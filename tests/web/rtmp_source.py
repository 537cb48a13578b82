"""An encoder as a process: `python rtmp_source.py URL [sound]` publishes a moving picture and a tone by RTMP.

A process, because libav holds the interpreter while it connects. Ends with the connection or when told to.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, FPS = 320, 192, 15
RATE = 48_000
STOP_S = 10.0


@contextlib.contextmanager
def publishing(url: str, *only: str) -> Iterator[subprocess.Popen[bytes]]:
    """Publishes until the end of the block. `only` "sound": no picture."""
    command = [sys.executable, str(Path(__file__)), url, *only]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(STOP_S)


def publish(url: str, with_picture: bool = True) -> None:
    """Orange, with a red block that wanders over it once in four seconds."""
    with av.open(url, "w", format="flv") as out:
        if with_picture:
            video = out.add_stream(
                "libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"}
            )
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            video.codec_context.gop_size = FPS
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        began, samples, n = time.monotonic(), 0, 0
        while True:
            if with_picture:
                rgb = np.full((HEIGHT, WIDTH, 3), (230, 150, 60), np.uint8)
                at = (n * 5) % (WIDTH - 60)
                rgb[60:130, at : at + 60] = (200, 30, 40)
                picture = av.VideoFrame.from_ndarray(rgb, "rgb24")
                picture.pts = n
                out.mux(video.encode(picture))
            n += 1
            while samples < n * RATE // FPS:
                tone = np.sin(np.arange(samples, samples + 1024) * 0.05).astype(np.float32)
                sound = av.AudioFrame.from_ndarray(tone[None], "fltp", "mono")
                sound.sample_rate, sound.pts = RATE, samples
                samples += 1024
                out.mux(audio.encode(sound))
            time.sleep(max(0.0, began + n / FPS - time.monotonic()))


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # the server ended it
        publish(sys.argv[1], "sound" not in sys.argv[2:])
