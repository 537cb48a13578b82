"""A film as if it came from a camera: its frames at their pace, from any place, until somebody seeks.

Owns one reader and one thread, and what plays the sound. Knows film time and the clock; nothing of edits in
progress, codecs or peers.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gpu import threads
from gpu.errors import RelensError
from gpu.film.play_clock import FilmClock
from gpu.film.play_sound import SoundPlayer, SoundSink
from gpu.film.reader import LIMITS, FilmReader, open_again, open_file
from gpu.film.render import in_force
from gpu.film.signature import read_signature
from gpu.film.timeline import Step
from gpu.types import CLOCK_HZ, Edit, Frame

log = logging.getLogger(__name__)

# A stopped film's picture is shown again that often, so that an edit of it can be seen; after SETTLED_S
# without a word seldom: each costs a render beside it a turn.
STILL_S, SELDOM_S, SETTLED_S = 0.2, 2.0, 3.0
# Behind the clock: from there on a silent film runs slower and is not hurried. Beside sound, which never
# waits, pictures are left out but for one every SEEN_S, and from FAR_S on up to a keyframe without decoding.
LATE_S, SEEN_S, FAR_S = 0.25, 0.5, 1.0
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
        self._reader, sound_fd = _opened(path)
        self._steps = steps
        self._clock = FilmClock(self._ticks(start_s), self._reader.info.video.duration)
        self._sound: SoundPlayer | None = None
        if sound_fd is not None:
            self._sound = SoundPlayer(sound_fd, self._reader.zero, self._clock)
        self._follows = bool(steps)
        self._thread: threading.Thread | None = None
        self._lively_until_s = 0.0
        self._shown = 0  # ticks of the newest picture as the stream counts them: they never go back
        self._shown_s = 0.0
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
        return in_force(self._steps, self._clock.at) if self._steps else None

    def followed(self) -> Edit | None:
        """The timeline's edit in force now; None where it is not followed, or any more."""
        return in_force(self._steps, self._clock.at) if self._follows else None

    def start(
        self,
        show: Callable[[Frame], None],
        on_edit: Callable[[Edit], None] = lambda edit: None,
        on_error: Callable[[RelensError], None] = lambda error: None,
        sound: SoundSink | None = None,
    ) -> None:
        """`show` gets each picture, its pts counted from the start of the showing. `on_edit` hears of each
        edit of the timeline as it takes force; `on_error` of the end where the film cannot be read on.
        `sound` gets the sound, in step with the pictures, where the film has some."""
        self._began_ns = time.monotonic_ns()
        self._thread = threading.Thread(
            target=self._run, args=(show, on_edit, on_error), name="relens-film", daemon=True
        )
        if self._sound is not None and sound is not None:
            self._sound.start(self._began_ns, sound)
        threads.start(self._thread)

    def seek(self, at_s: float) -> None:
        """Go on from there; a time outside the film is its nearest end."""
        self._clock.go(self._ticks(at_s))

    def pause(self) -> None:
        self._clock.pause()

    def resume(self) -> None:
        """Go on; from the beginning where it had come to its end."""
        self._clock.resume()

    def edited(self) -> None:
        """Somebody asked for an edit of their own: the timeline's are not followed any more, and where the
        film stands it is shown at once."""
        self._follows = False
        self._lively_until_s = time.monotonic() + SETTLED_S
        self._clock.wake()

    def position(self) -> Position:
        return Position(self._clock.at / CLOCK_HZ, self.duration_s, self._clock.playing)

    def close(self) -> None:
        """Bounded time. Idempotent."""
        self._clock.close()
        self._reader.close()
        if self._sound is not None:
            self._sound.close()
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
            if not self._clock.closed:
                on_error(error)
        except Exception as error:
            if not self._clock.closed:
                log.exception("a film's player failed")
                on_error(RelensError(f"the film cannot be played on ({error!r}): open it again"))

    def _play(self, show: Callable[[Frame], None], on_edit: Callable[[Edit], None]) -> None:
        clock, place = self._clock, -1
        frames: Iterator[Frame] = iter(())
        now_in_force: Edit | None = self.first_edit()
        last: Frame | None = None
        zero_ns = 0
        while not clock.closed:
            if not clock.is_at(place):
                place, wanted = clock.asked()
                frames = self._reader.frames(wanted)
            frame = next(frames, None)
            if frame is None:
                if zero_ns and not clock.wait(place, zero_ns + _ns(self._reader.info.video.duration)):
                    continue  # its last picture is shown as long as the others
                clock.ended(place)
                zero_ns = self._stand(place, show, last)
                continue
            last = frame
            zero_ns = clock.begin(place, frame.pts)  # with the first picture, however long that took
            due_ns = zero_ns + _ns(frame.pts)
            if not clock.wait(place, due_ns) or not clock.shown(place, frame.pts):
                continue
            if self._follows:  # of a picture that is left out, too: it may be the last one, which stands
                edit = in_force(self._steps, frame.pts)
                if edit != now_in_force:
                    now_in_force = edit
                    on_edit(edit)
            now_ns = time.monotonic_ns()
            late_s = (now_ns - due_ns) / 1e9
            is_heard = self._sound is not None and self._sound.plays
            if late_s > LATE_S and not is_heard:
                clock.slip(int((late_s - LATE_S) * 1e9))  # the film slows down rather than stand still
            elif late_s > LATE_S and clock.playing:
                if late_s > FAR_S and (key := self._key_between(frame.pts, late_s)) is not None:
                    frames = self._reader.frames(key)
                if time.monotonic() - self._shown_s < SEEN_S:
                    continue
            # Far behind it is out of step anyway, and must not hold up sound that waits for pictures.
            show(self._stamped(frame, due_ns if late_s <= LATE_S else now_ns))
            if not clock.playing:
                zero_ns = self._stand(place, show, frame)

    def _key_between(self, at: int, late_s: float) -> int | None:
        """The last keyframe behind `at` that is not ahead of the clock."""
        keys = self._reader.key_ticks
        found = int(np.searchsorted(keys, at + round(late_s * CLOCK_HZ), "right")) - 1
        return int(keys[found]) if found >= 0 and keys[found] > at else None

    def _stand(self, place: int, show: Callable[[Frame], None], frame: Frame | None) -> int:
        """Until somebody resumes, seeks or closes: the same picture again and again. -> no time runs."""
        self._clock.stop()
        self._lively_until_s = time.monotonic() + SETTLED_S
        while self._clock.stand(place, STILL_S if time.monotonic() < self._lively_until_s else SELDOM_S):
            if frame is not None:
                show(self._stamped(frame, time.monotonic_ns()))
        return 0

    def _stamped(self, frame: Frame, due_ns: int) -> Frame:
        """With the time it is due at, as the stream counts it: beside its sound, though it may be late."""
        ticks = (due_ns - self._began_ns) * CLOCK_HZ // 1_000_000_000
        self._shown = max(self._shown + 1, ticks)
        self._shown_s = time.monotonic()
        return replace(frame, pts=self._shown, arrived_ns=time.monotonic_ns())


def _opened(path: Path) -> tuple[FilmReader, int | None]:
    """The film's pictures, and its file for its sound, where it has some: the one that was probed, as another
    may lie there, or none, when the sound is wanted."""
    fd = open_file(path, LIMITS)
    try:
        reader = FilmReader(fd, read_signature(fd), LIMITS)
        try:
            return reader, open_again(fd, path, LIMITS) if reader.info.audio is not None else None
        except BaseException:
            reader.close()
            raise
    finally:
        os.close(fd)


def _ns(ticks: int) -> int:
    return ticks * 1_000_000_000 // CLOCK_HZ
