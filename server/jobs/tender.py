"""One job from its film to its result: cut, laid, watched while workers render it, put together.

Owns one thread. Everything it does may be done again: after a crash the next server begins it anew, and
finds what was kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from gpu import threads
from gpu.errors import RelensError
from gpu.film.assemble import assemble
from gpu.film.boxes import read_run
from gpu.film.cut import find_spans
from gpu.film.render import PREROLL_S
from gpu.film.rendition import write_rendition
from gpu.film.segment import init_segment
from gpu.film.types import FilmError, FilmInfo, Span
from server.jobs.patience import Abandoned, Signal, persist
from server.jobs.plan import Plan
from server.jobs.renderer import DEFECT, span_of
from server.jobs.tools import Gated, Tools
from server.kept.errors import KeptError, NotKept, Refused
from server.kept.keys import job_key, work_blob
from server.kept.types import OVER, Segment

log = logging.getLogger(__name__)

T = TypeVar("T")

INIT, SOUND, RESULT = "init.mp4", "sound.mp4", "result.mp4"
LAY_EVERY_S = 2.0  # spans that are certain may be rendered while the film is still being cut
POLL_S = 1.0
_JOIN_S = 30.0
_HEAD_BYTES = 1 << 20


class Tender:
    """`scratch`: a folder of this process for what is not whole yet."""

    def __init__(self, tools: Tools, job_id: str, scratch: Path) -> None:
        self._tools, self._job_id, self._scratch = tools, job_id, scratch
        self._aborted = Signal(tools.board.begin(job_id), tools.stop)
        self._thread = threading.Thread(target=self._run, name=f"relens-job-{job_id[:6]}", daemon=True)

    def start(self) -> None:
        threads.start(self._thread)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            log.error("job %s did not stop within %.0f s", self._job_id[:6], _JOIN_S)

    def _run(self) -> None:
        tools = self._tools
        try:
            try:
                self._tend()
            except (Abandoned, NotKept, Refused) as why:  # cancelled, failed, deleted, or the server stops
                log.info("job %s is left: %s", self._job_id[:6], why)
            except RelensError as error:
                log.warning("job %s: %s", self._job_id[:6], error)
                self._fail(str(error))
            except Exception:
                log.exception("job %s", self._job_id[:6])
                self._fail(DEFECT)
            self._note_end()
        finally:
            tools.plans.forget(self._job_id)
            tools.board.end(self._job_id)
            (self._scratch / f"{self._job_id}.mp4").unlink(missing_ok=True)
            tools.nudge()

    def _tend(self) -> None:
        tools = self._tools
        plan = self._persist(partial(tools.plans.get, self._job_id, self._aborted))
        info, spans = self._cut(plan)
        while True:
            tools.board.stage(self._job_id, "rendering")
            segments = self._wait(info)
            if segments is None:
                return
            tools.board.stage(self._job_id, "assembling")
            if self._assemble(plan, info, segments, spans):
                return

    # -- cutting

    def _cut(self, plan: Plan) -> tuple[FilmInfo, tuple[Span, ...]]:
        """Lay the job's segments, and what its preview needs beside them."""
        kept, board = self._tools.kept, self._tools.board
        board.stage(self._job_id, "cutting")
        with self._persist(partial(self._tools.plans.open, plan)) as reader:
            info = reader.info
            init = init_segment(info, plan.settings)
            self._persist(lambda: kept.blobs.put(job_key(self._job_id, INIT), init))
            spans = self._laid(info)
            if not spans:
                with self._tools.gated(reader, self._aborted) as film:
                    spans = self._find(plan, film)
        if self._size(SOUND) is None:
            self._make_sound(plan, spans)
        return info, spans

    def _laid(self, info: FilmInfo) -> tuple[Span, ...]:
        """As an earlier attempt cut the film; () where that did not come to its end."""
        found = tuple(span_of(each) for each in self._persist(self._segments))
        whole = found and sum(span.frames for span in found) == info.video.frames
        return found if whole else ()

    def _find(self, plan: Plan, film: Gated) -> tuple[Span, ...]:
        board = self._tools.board
        began_s = laid_s = time.monotonic()
        pause_s = LAY_EVERY_S
        spans: list[Span] = []

        def progress(done: int, frames: int) -> None:
            board.stage(self._job_id, "cutting", done / max(1, frames))

        for span in find_spans(film, progress=progress, preroll_s=PREROLL_S):
            spans.append(span)
            now_s = time.monotonic()
            if now_s - laid_s > pause_s:
                self._lay(plan, spans)
                laid_s = time.monotonic()
                pause_s = max(LAY_EVERY_S, 10 * (laid_s - now_s))  # all of them are said each time
        self._lay(plan, spans)
        log.info(
            "job %s is cut into %d segments in %.1f s",
            plan.job_id[:6],
            len(spans),
            time.monotonic() - began_s,
        )
        return tuple(spans)

    def _lay(self, plan: Plan, spans: Sequence[Span]) -> None:
        keys = [plan.key(span) for span in spans]
        try:
            self._persist(lambda: self._tools.kept.segments.lay(self._job_id, spans, keys))
        except Refused as error:
            raise FilmError(str(error)) from error
        self._tools.nudge()

    def _make_sound(self, plan: Plan, spans: Sequence[Span]) -> None:
        """The preview's sound; nothing for a film that has none."""
        out, kept = self._scratch / f"{self._job_id}.sound", self._tools.kept
        try:
            made = self._persist(
                lambda: write_rendition(self._tools.plans.path(plan), spans, out, alive=self._aborted.check)
            )
            data: bytes | Path = out if made is not None else b""
            self._persist(lambda: kept.blobs.put(job_key(self._job_id, SOUND), data))
        finally:
            out.unlink(missing_ok=True)

    # -- waiting for the workers

    def _wait(self, info: FilmInfo) -> tuple[Segment, ...] | None:
        """The segments once all are rendered; None when the job ended otherwise."""
        while True:
            job = self._persist(lambda: self._tools.kept.jobs.get(self._job_id))
            if job.state != "RUNNING":
                return None
            if job.frames_done == info.video.frames:
                segments = self._persist(self._segments)
                if all(each.state == "DONE" for each in segments):
                    return segments
            self._tools.wait(POLL_S)
            self._aborted.check()

    def _segments(self) -> tuple[Segment, ...]:
        return self._tools.kept.segments.list(self._job_id)

    # -- putting together

    def _assemble(
        self, plan: Plan, info: FilmInfo, segments: Sequence[Segment], spans: Sequence[Span]
    ) -> bool:
        """False where segments were lost or damaged: they are rendered again."""
        kept, out = self._tools.kept, self._scratch / f"{self._job_id}.mp4"
        init, began_s = init_segment(info, plan.settings), time.monotonic()
        with ExitStack() as held:
            paths = [path for each in segments if (path := self._fetch(each, held)) is not None]
            if len(paths) < len(segments):
                return False
            source = self._persist(lambda: held.enter_context(kept.blobs.local(plan.blob_key)))
            alive = self._aborted.check
            try:
                notes = self._persist(
                    lambda: assemble(init, paths, source, spans, out, progress=lambda done, of: alive())
                )
            except FilmError as error:
                if not self._drop_damaged(segments, paths):
                    raise
                log.warning("job %s: %s", self._job_id[:6], error)
                return False
        key = job_key(self._job_id, RESULT)
        size = self._persist(lambda: kept.blobs.put(key, out))
        self._persist(lambda: kept.jobs.finish(self._job_id, key, size))
        log.info(
            "job %s is done, %d bytes put together in %.1f s%s",
            self._job_id[:6], size, time.monotonic() - began_s, "".join(f"; {note}" for note in notes),
        )  # fmt: skip
        return True

    def _fetch(self, segment: Segment, held: ExitStack) -> Path | None:
        """A file of it that stays while `held` does; None where it is gone."""
        blob = work_blob(segment.work_key or "none")
        try:
            return self._persist(lambda: held.enter_context(self._tools.kept.blobs.local(blob)))
        except NotKept:
            self._lose(segment)
            return None

    def _drop_damaged(self, segments: Sequence[Segment], paths: Sequence[Path]) -> int:
        """Throw away what is no whole segment; how many."""
        dropped = 0
        for segment, path in zip(segments, paths, strict=True):
            try:
                with path.open("rb") as file:
                    run = read_run(file.read(_HEAD_BYTES), path.stat().st_size)
                whole = (run.start, len(run.sizes)) == (segment.start, segment.frames)
            except (FilmError, OSError):
                whole = False
            if not whole:
                dropped += 1
                blob = work_blob(segment.work_key or "none")
                self._persist(lambda blob=blob: self._tools.kept.blobs.delete(blob))  # type: ignore[misc]
                self._lose(segment)
        return dropped

    def _lose(self, segment: Segment) -> None:
        log.warning("job %s segment %d is lost: it is rendered again", self._job_id[:6], segment.index)
        self._persist(lambda: self._tools.kept.segments.lost(segment.job_id, segment.index))

    # -- ending

    def _persist(self, work: Callable[[], T]) -> T:
        return persist(work, self._aborted, partial(self._tools.board.waits, self._job_id))

    def _size(self, name: str) -> int | None:
        try:
            return self._persist(lambda: self._tools.kept.blobs.size(job_key(self._job_id, name)))
        except NotKept:
            return None

    def _fail(self, reason: str) -> None:
        try:
            self._persist(lambda: self._tools.kept.jobs.fail(self._job_id, reason))
        except (KeptError, Abandoned) as error:
            log.error("job %s could not be failed: %s", self._job_id[:6], error)
        self._tools.board.abandon(self._job_id)

    def _note_end(self) -> None:
        try:
            job = self._tools.kept.jobs.get(self._job_id)
        except KeptError:
            return
        if job.state in OVER:
            log.info("job %s is %s%s", job.id[:6], job.state, f": {job.reason}" if job.reason else "")
            self._tools.board.over(
                done=job.state == "DONE", failed=job.state == "FAILED", cancelled=job.state == "CANCELLED"
            )
