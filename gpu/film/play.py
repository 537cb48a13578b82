"""A film as if it came from a camera: its frames at their pace, from any place, until somebody seeks.

Owns one reader and one thread. Knows film time and the clock; nothing of edits in progress, codecs or peers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpu import threads
from gpu.errors import RelensError
from gpu.film.reader import FilmReader, open_film
from gpu.film.render import in_force
from gpu.film.timeline import Step
from gpu.types import CLOCK_HZ, Edit, Frame

log = logging.getLogger(__name__)

# A stopped film's picture is shown again that often, so that an edit of it can be seen; after SETTLED_S
# without a word seldom: each costs a render beside it a turn.
STILL_S, SELDOM_S, SETTLED_S = 0.2, 2.0, 3.0
LATE_S = 0.25  # behind the clock: from there on the film runs slower and is not hurried
_JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a film is. Seconds of film time."""

    at: float
    duration: float
    playing: bool


class FilmPlayer:
    """`seek`, `pause`, `resume`, `position` and `close` from any thread, and at once."""

    def __init__(self, path: Path, start_s: float = 0.0, steps: Sequence[Step] = ()) -> None:
        """Opens and probes the film: not on a loop's thread. `steps`: a timeline to follow, resolved.

        Raises FilmError."""
        self._reader: FilmReader = open_film(path)
        self._steps = steps
        self._changed = threading.Condition()
        self._seek_to: int | None = self._ticks(start_s)
        self._at = self._seek_to or 0
        self._playing, self._closed = True, False
        self._follows = bool(steps)
        self._thread: threading.Thread | None = None
        self._lively_until_s = 0.0
        self._shown = 0  # ticks of the newest picture as the stream counts them: they never go back
        self._began_ns = 0

    @property
    def duration_s(self) -> float:
        return self._reader.info.video.duration / CLOCK_HZ

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self._reader.info.video.width, self._reader.info.video.height

    def first_edit(self) -> Edit | None:
        """The timeline's edit where the film begins; None without a timeline."""
        return in_force(self._steps, self._at) if self._steps else None

    def start(
        self,
        show: Callable[[Frame], None],
        on_edit: Callable[[Edit], None] = lambda edit: None,
        on_error: Callable[[RelensError], None] = lambda error: None,
    ) -> None:
        """`show` gets each picture, its pts counted from the start of the showing. `on_edit` hears of each
        edit of the timeline as it takes force; `on_error` of the end where the film cannot be read on."""
        self._began_ns = time.monotonic_ns()
        self._thread = threading.Thread(
            target=self._run, args=(show, on_edit, on_error), name="relens-film", daemon=True
        )
        threads.start(self._thread)

    def seek(self, at_s: float) -> None:
        """Go on from there; a time outside the film is its nearest end."""
        with self._changed:
            self._seek_to = self._ticks(at_s)
            self._at = self._seek_to
            self._changed.notify_all()

    def pause(self) -> None:
        with self._changed:
            self._playing = False
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on; from the beginning where it had come to its end."""
        with self._changed:
            if not self._playing and self._at >= self._reader.info.video.duration:
                self._seek_to = self._at = 0
            self._playing = True
            self._changed.notify_all()

    def edited(self) -> None:
        """Somebody asked for an edit of their own: the timeline's are not followed any more, and where the
        film stands it is shown at once."""
        with self._changed:
            self._follows = False
            self._lively_until_s = time.monotonic() + SETTLED_S
            self._changed.notify_all()

    def position(self) -> Position:
        with self._changed:
            return Position(self._at / CLOCK_HZ, self.duration_s, self._playing)

    def close(self) -> None:
        """Bounded time. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._reader.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _ticks(self, at_s: float) -> int:
        most = int(self._reader.ticks[-1])  # the last frame's
        return min(most, max(0, round(at_s * CLOCK_HZ))) if at_s == at_s else 0

    def _run(
        self,
        show: Callable[[Frame], None],
        on_edit: Callable[[Edit], None],
        on_error: Callable[[RelensError], None],
    ) -> None:
        try:
            self._play(show, on_edit)
        except RelensError as error:
            if not self._closed:
                on_error(error)
        except Exception as error:
            if not self._closed:
                log.exception("a film's player failed")
                on_error(RelensError(f"the film cannot be played on ({error!r}): open it again"))

    def _play(self, show: Callable[[Frame], None], on_edit: Callable[[Edit], None]) -> None:
        frames: Iterator[Frame] = iter(())
        now_in_force: Edit | None = self.first_edit()
        base_ns = base_at = 0
        last: Frame | None = None
        while not self._closed:
            with self._changed:
                wanted, self._seek_to = self._seek_to, None
            if wanted is not None:
                frames = self._reader.frames(wanted)
                base_ns, base_at = 0, wanted
            frame = next(frames, None)
            if frame is None:
                with self._changed:
                    if self._seek_to is None:
                        self._at, self._playing = self._reader.info.video.duration, False
                self._stand(show, last)
                continue
            last = frame
            if base_ns == 0:  # the clock begins with the first picture, however long that took
                base_ns, base_at = time.monotonic_ns(), frame.pts
            due_ns = base_ns + (frame.pts - base_at) * 1_000_000_000 // CLOCK_HZ
            late_s = (time.monotonic_ns() - due_ns) / 1e9
            if late_s < 0 and not self._wait(-late_s):
                continue
            with self._changed:
                if self._seek_to is not None:
                    continue
                self._at = frame.pts
            if late_s > LATE_S:
                base_ns += int((late_s - LATE_S) * 1e9)  # the film slows down rather than stand still
            if self._follows:
                edit = in_force(self._steps, frame.pts)
                if edit != now_in_force:
                    now_in_force = edit
                    on_edit(edit)
            show(self._now(frame))
            if not self._playing:
                self._stand(show, frame)
                base_ns = 0

    def _stand(self, show: Callable[[Frame], None], frame: Frame | None) -> None:
        """Until somebody resumes, seeks or closes: the same picture again and again."""
        with self._changed:
            self._lively_until_s = time.monotonic() + SETTLED_S
        while not self._moves():
            with self._changed:
                if not self._moves():
                    lively = time.monotonic() < self._lively_until_s
                    self._changed.wait(STILL_S if lively else SELDOM_S)
            if frame is not None and not self._moves():
                show(self._now(frame))

    def _moves(self) -> bool:
        return self._playing or self._seek_to is not None or self._closed

    def _wait(self, seconds: float) -> bool:
        """False where something was asked for meanwhile."""
        until_s = time.monotonic() + seconds
        with self._changed:
            while not self._closed and self._seek_to is None:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return True
                self._changed.wait(left_s)
        return False

    def _now(self, frame: Frame) -> Frame:
        """With the time it is shown at, as the stream counts it."""
        now_ns = time.monotonic_ns()
        ticks = (now_ns - self._began_ns) * CLOCK_HZ // 1_000_000_000
        self._shown = max(self._shown + 1, ticks)
        return replace(frame, pts=self._shown, arrived_ns=now_ns)
