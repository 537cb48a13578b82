"""One stream of the full-size model: its canvas, its latents, its edit in force. Knows no prompts' meaning.

Where nothing of an edit shows, the pictures go back as they came and the network rests. What it remembers is
then of another time, so it begins anew with the next edit, and that one fades in over the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpu.autoencoder.base import AutoencoderStream
from gpu.cuda.frame import DeviceFrame
from gpu.errors import FrameError, ModelError
from gpu.models.liveedit_canvas import Canvas, change_mask
from gpu.models.liveedit_device import DeviceCanvas
from gpu.models.liveedit_fade import Fade
from gpu.models.liveedit_lane import HostLane
from gpu.models.liveedit_parts import Parts
from gpu.types import CLOCK_HZ, Edit
from gpu.wan.config import StreamShape
from gpu.wan.sampler import Sampling
from gpu.wan.stream import EditStream


class LiveEditState:
    """Opens all that the stream will hold, so that memory is short at once or not at all (but for buffers of
    some pictures, where those come in GPU memory). In the lane's turn only.

    Raises as the engine's and the autoencoder's `open` do."""

    def __init__(
        self, parts: Parts, lane: HostLane, shape: StreamShape, size: tuple[int, int],
        sampling: Sampling | None = None,
    ) -> None:  # fmt: skip
        """`size`: (width, height) of the pictures."""
        (self.width, self.height), self.shape = size, shape
        self.edit = Edit()
        self._parts, self._lane = parts, lane
        self._sampling = sampling or Sampling()
        self._seed = self._sampling.seed
        self._canvas: Canvas | DeviceCanvas | None = None  # by where the first picture is
        self._fade = Fade()
        self._cross: Any = None  # of the newest instruction
        self._instruction = ""
        self._chunk_ticks = 0  # how long the last chunk lasted, in stream time
        self._stale = True  # what the streams remember is of another time, or of none
        self._streams: tuple[EditStream, AutoencoderStream] | None = self._open()

    def show(self, edit: Edit, instruction: str, condition: Callable[[], Any] | None) -> None:
        """Put an edit in force. condition: makes the conditioning of its instruction, asked only where that
        is another; None: back to the source."""
        network, _ = self._opened()
        if condition is None:
            self.edit = edit
            self._fade.aim(0.0, edit.transition_ms)
            return
        if self._cross is None or instruction != self._instruction:
            self._cross = condition()
            if not self._stale:
                network.condition(self._cross, self._blocks(edit.transition_ms))
            self._instruction = instruction
        seed = edit.seed % 2**32
        if seed != self._seed:
            self._seed, self._stale = seed, True
        self.edit = edit
        self._fade.aim(edit.strength, edit.transition_ms)

    def step(self, chunk: Sequence[Any]) -> list[Any]:
        """Edit a block's pictures. Raises FrameError for another size or count, and as the engine does."""
        self._opened()
        if len(chunk) != self.shape.frames_per_chunk:
            raise FrameError(f"{len(chunk)} pictures at once: give {self.shape.frames_per_chunk}")
        for frame in chunk:
            if (frame.width, frame.height) != (self.width, self.height):
                raise FrameError(
                    f"a frame of {frame.width}x{frame.height} in a {self.width}x{self.height} stream: "
                    "open a new state"
                )
        self._chunk_ticks = (chunk[-1].pts - chunk[0].pts) * len(chunk) // (len(chunk) - 1)
        strengths = [self._fade.at(frame.pts) for frame in chunk]
        if not any(strengths):
            self._stale = True
            return list(chunk)
        if self._stale:
            self._begin()
        network, latents = self._opened()
        canvas = self._canvas_for(chunk[0])
        shown = canvas.onto(chunk)
        edited = latents.decode(network.edit(latents.encode(shown)))
        return canvas.over(chunk, edited, shown, change_mask(edited, shown), strengths)

    def close(self) -> None:
        """Let everything go. Idempotent."""
        streams, self._streams, self._cross = self._streams, None, None
        for stream in streams or ():
            stream.close()
        if isinstance(self._canvas, DeviceCanvas):
            self._canvas.close()
        self._canvas = None

    def _begin(self) -> None:
        """A fresh ring and a fresh autoencoder's stream, under the newest instruction alone."""
        network, latents = self._opened()
        latents.close()  # first: its memory is for the next
        latents = self._parts.autoencoder.open(self.shape.width, self.shape.height)
        self._streams = network, latents
        network.restart(self._seed)
        network.condition(self._cross)
        self._stale = False

    def _canvas_for(self, first: Any) -> Canvas | DeviceCanvas:
        """For pictures where this one is; a stream whose pictures move from host to GPU gets another."""
        on_gpu, size = isinstance(first, DeviceFrame), (self.shape.width, self.shape.height)
        if self._canvas is None or on_gpu != isinstance(self._canvas, DeviceCanvas):
            if on_gpu:
                self._canvas = DeviceCanvas(first, size, self.shape.frames_per_chunk, self._lane)
            else:
                self._canvas = Canvas(self.width, self.height, size, self._parts.engine.device)
        return self._canvas

    def _opened(self) -> tuple[EditStream, AutoencoderStream]:
        if self._streams is None:
            raise ModelError("this stream has ended: open another session")
        return self._streams

    def _open(self) -> tuple[EditStream, AutoencoderStream]:
        shape, parts = self.shape, self._parts
        network = EditStream(parts.engine, shape, self._sampling)
        try:
            return network, parts.autoencoder.open(shape.width, shape.height)
        except BaseException:
            network.close()
            raise

    def _blocks(self, transition_ms: int) -> int:
        """How many blocks a transition lasts, at the pace of the last one; as many as fit, at least one."""
        if self._chunk_ticks <= 0:
            return 1
        return max(1, round(transition_ms * CLOCK_HZ / 1000 / self._chunk_ticks))
