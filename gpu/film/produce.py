"""A span from film to segment: decoded in a child, edited here, encoded on a thread beside it.

Knows one span; who asked, where it is kept and what comes next are others' business.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from gpu import threads
from gpu.film.render import Frames, render_span
from gpu.film.segment import OutputSettings, write_segment
from gpu.film.timeline import Step
from gpu.film.types import FilmError, FilmInfo, Span
from gpu.models.base import EditModel
from gpu.types import Frame

AHEAD = 8  # edited frames that wait for the encoder
_POLL_S = 0.5
_ENCODE_S = 60.0  # for the encoder to end what it has


class Cancelled(FilmError):
    """Whoever asked for the span no longer wants it."""


def produce(
    model: EditModel,
    film: Frames,
    span: Span,
    steps: Sequence[Step],
    info: FilmInfo,
    settings: OutputSettings,
    on_frame: Callable[[int], None] = lambda done: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bytes:
    """The span's segment. `on_frame(done)` after each frame edited, on this thread: it may wait, and so hold
    the work back. The bytes hang on film, span, steps (resolved), model and settings alone.

    Raises Cancelled, FilmError, FrameError, ModelError, DeviceError."""
    encoder = _Encoder(span, info, settings)
    try:
        for done, frame in enumerate(render_span(model, film, span, steps), 1):
            if cancelled():
                raise Cancelled("the work was cancelled")
            encoder.put(frame)
            on_frame(done)
        return encoder.end()
    finally:
        encoder.close()


class _Encoder:
    """`write_segment` on a thread of its own, fed through a bounded queue."""

    def __init__(self, span: Span, info: FilmInfo, settings: OutputSettings) -> None:
        self._waiting: queue.Queue[Frame | None] = queue.Queue(AHEAD)
        self._args = (span, info, settings)
        self._segment = b""
        self._error: BaseException | None = None
        self._given_up = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relens-segment", daemon=True)
        threads.start(self._thread)

    def put(self, frame: Frame | None) -> None:
        """Waits for room. Raises what the encoder raised."""
        while not self._done.is_set():
            try:
                self._waiting.put(frame, timeout=_POLL_S)
                return
            except queue.Full:
                continue
        self._raise()

    def end(self) -> bytes:
        self.put(None)
        if not self._done.wait(_ENCODE_S):
            raise FilmError(f"the encoder did not end within {_ENCODE_S:.0f} s: try again")
        self._raise()
        return self._segment

    def close(self) -> None:
        self._given_up.set()
        self._thread.join(_POLL_S * 4)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._segment = write_segment(self._frames(), *self._args)
        except BaseException as error:  # it is raised where the frames come from
            self._error = error
        finally:
            self._done.set()

    def _frames(self) -> Iterator[Frame]:
        while not self._given_up.is_set():
            try:
                frame = self._waiting.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if frame is None:
                return
            yield frame
        raise Cancelled("the work was cancelled")
