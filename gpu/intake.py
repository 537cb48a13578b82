"""A stream's way in: encoded frames wait, are decoded on a thread of their own, become pictures.

Knows one stream up to its pictures; nothing of edits or encoders.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gpu.errors import FrameError
from gpu.mailbox import EncodedQueue, Mailbox
from gpu.path import Decoder, MediaPath
from gpu.sink import Reporter
from gpu.stats import Meter
from gpu.thinning import Thinning
from gpu.types import CLOCK_HZ, Codec, EncodedFrame, Picture

_POLL_S = 0.5  # closing wakes every wait at once; this only bounds it
_TOO_SOON = 0.75  # of a picture's time at max_fps
SPARE_SHARE = 4  # of a chunk may wait beside it, live: decoders give several at once now and then
_LONGEST_GAP_TICKS = 2 * CLOCK_HZ  # between the pictures of a chunk: longer ago is another scene


@dataclass(frozen=True, slots=True)
class Waiting:
    """A decoded picture with the moment it was ready."""

    frame: Picture
    ready_ns: int


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    codec: Codec
    chunk_frames: int
    max_size: tuple[int, int]
    max_fps: float
    in_order: bool
    queue_frames: int


class Intake:
    """`run` is the decode thread; everything else from any thread.

    `announce(width, height)` is called before the first picture of a size, `wake` when a picture is ready.
    """

    def __init__(
        self,
        config: IntakeConfig,
        path: MediaPath,
        meter: Meter,
        reporter: Reporter,
        announce: Callable[[int, int], None],
        wake: Callable[[], None],
    ) -> None:
        self._config, self._path, self._meter, self._reporter = config, path, meter, reporter
        self._decoder: Decoder | None = None
        self._codec = config.codec
        self._announce, self._wake = announce, wake
        self._size = (0, 0)
        self._queue = EncodedQueue(config.queue_frames)
        spare = 0 if config.in_order else config.chunk_frames // SPARE_SHARE
        self._mailbox: Mailbox[Waiting] = Mailbox(config.chunk_frames, not config.in_order, spare)
        self._lock = threading.Lock()
        self._last_pts: int | None = None
        chunked = config.chunk_frames > 1 and not config.in_order
        self._thinning = Thinning(config.chunk_frames) if chunked else None
        self._posted_pts = 0
        self._pushed_out = 0  # pictures, since the last chunk was taken
        self._closed = threading.Event()
        self.paused = False

    @property
    def ready(self) -> bool:
        """A whole chunk waits."""
        return self._mailbox.full

    @property
    def decoded_by(self) -> str:
        """What decodes, "" before the first frame."""
        return self._decoder.name if self._decoder is not None else ""

    def take(self) -> list[Waiting]:
        """The chunk that waits, or []."""
        chunk = self._mailbox.take()
        if chunk and self._thinning is not None:
            lost, self._pushed_out = self._pushed_out, 0
            self._thinning.took(chunk[-1].frame.pts, lost)
        return chunk

    def push(self, frame: EncodedFrame) -> None:
        """Never waits; on overflow everything goes and a keyframe is asked for."""
        if self.paused or self._closed.is_set():
            return
        self._meter.rate("in", time.monotonic_ns(), len(frame.data))
        self._meter.count("frames_in")
        lost = self._queue.put(frame)
        if lost:
            self._meter.count("dropped", lost)
            self._reporter.ask_keyframe()

    def show(self, picture: Picture) -> None:
        """A picture that needs no decoder: a film's. One thread, and nothing is pushed meanwhile."""
        if self.paused or self._closed.is_set():
            return
        now_ns = time.monotonic_ns()
        self._meter.rate("in", now_ns, 0)
        self._meter.count("frames_in")
        if not self._too_soon(picture.pts):
            self._post(Waiting(picture, now_ns))

    def wait_for_room(self, timeout_s: float) -> bool:
        return self._queue.wait_for_room(timeout_s)

    def pause(self) -> None:
        with self._lock:
            self.paused = True
        self._meter.count("dropped", self._queue.flush() + self._mailbox.clear())

    def resume(self) -> None:
        with self._lock:
            if not self.paused:
                return
            self.paused = False  # the queue, flushed by pause, lets only a keyframe start again
        self._reporter.ask_keyframe(at_once=True)

    def close(self) -> None:
        self._closed.set()
        self._queue.close()
        self._mailbox.close()

    def run(self) -> None:
        """Decode until closed. A peer may go over to another codec, at a keyframe (RFC 3264 §6.1).

        Raises DeviceError when there is no decoder."""
        decoder = self._open()
        while not self._closed.is_set():
            encoded = self._queue.get(_POLL_S)
            if encoded is None:
                continue
            if encoded.codec != self._codec:
                if not encoded.is_keyframe:
                    self._meter.count("dropped")
                    self._reporter.ask_keyframe()
                    continue
                decoder.close()  # first: what it holds is not needed twice
                self._codec = encoded.codec
                decoder = self._open()
            self._decode(decoder, encoded)

    def release(self) -> None:
        """Give the decoder back, after `run`; that may take seconds where a GPU hangs."""
        if self._decoder is not None:
            self._decoder.close()

    def _open(self) -> Decoder:
        decoder = self._path.open_decoder(self._codec, self._config.max_size)
        self._decoder = decoder
        return decoder

    def _decode(self, decoder: Decoder, encoded: EncodedFrame) -> None:
        began_ns = time.monotonic_ns()
        try:
            frames = decoder.decode(encoded)
        except FrameError as exc:
            self._reporter.lost(exc, 1)
            if decoder.waiting_for_keyframe:  # or else only this picture is lost
                self._reporter.ask_keyframe()
            return
        now_ns = time.monotonic_ns()
        if not frames and decoder.waiting_for_keyframe:
            self._meter.count("dropped")
            self._reporter.ask_keyframe()
        for frame in frames:
            self._meter.time("decode", now_ns, now_ns - began_ns)
            if self._too_soon(frame.pts):
                continue
            if self._thinning is not None and self._thinning.skips(frame.pts):
                self._meter.rate("shown", now_ns)  # it was not too soon, but too much: that is to be seen
                self._meter.count("dropped")
            else:
                self._post(Waiting(frame, now_ns))

    def _post(self, waiting: Waiting) -> None:
        self._meter.rate("shown", waiting.ready_ns)
        size = (waiting.frame.width, waiting.frame.height)
        if size != self._size:
            self._announce(*size)
            self._meter.size(*size)
            self._size = size
        head = self._mailbox.peek()
        if not self._one_chunk(head.frame if head is not None else waiting.frame, waiting.frame):
            self._meter.count("dropped", self._mailbox.clear())
        del head  # a picture that is pushed out must be gone at once: on a GPU its buffer is needed
        lost = 0
        with self._lock:
            if self.paused:
                lost = 1
            elif not self._config.in_order:
                lost = self._mailbox.put(waiting)
                self._pushed_out += lost
        if self._config.in_order and not lost:
            while self._mailbox.put(waiting, _POLL_S) and not self._closed.is_set():
                pass
        if lost:
            self._meter.count("dropped", lost)
        self._wake()
        self._reporter.judge_pace()

    def _one_chunk(self, first: Picture, new: Picture) -> bool:
        """A chunk is of one size, and live also of one time: what waited for others too long is gone."""
        same_size = (first.width, first.height) == (new.width, new.height)
        before, self._posted_pts = self._posted_pts, new.pts
        return same_size and (self._config.in_order or abs(new.pts - before) <= _LONGEST_GAP_TICKS)

    def _too_soon(self, pts: int) -> bool:
        """Thin out a camera faster than max_fps, evenly."""
        if self._config.in_order:
            return False
        last, step = self._last_pts, CLOCK_HZ / self._config.max_fps
        if last is not None and 0 < pts - last < _TOO_SOON * step:
            return True
        self._last_pts = pts
        return False
