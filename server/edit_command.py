"""`relens edit IN OUT`: a film edited from the terminal, by segments: it goes on where it was stopped.

What is done lies beside OUT in a folder of its own until OUT is whole. Knows files and terminals, no server.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gpu.checkpoints.progress import duration
from gpu.errors import FrameError
from gpu.film.timeline import EditAt, Timeline, check_timeline, read_timeline, steps_of
from gpu.film.types import FilmError, Span
from gpu.history import settled_in_order
from gpu.types import CLOCK_HZ
from server.edit_bar import EditBar
from server.reading import why_not

GOOD, FAULT, INTERRUPTED = 0, 1, 130
_READ_BYTES = 1 << 20
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
WORST_CRF = 51  # of x264
# Nobody watches meanwhile: fewer seams than a server's job has, and little is lost where it is stopped. Short
# ones at the ends: all cores have work soon, and no span is left to one of them at last.
LONGEST_SPAN_S, END_SPAN_S = 60.0, 10.0
SUFFIXES = (".mp4", ".m4v", ".mov")  # what players take an MP4 for an MP4 by


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", type=Path, help="a film: MP4, MOV, MKV or WebM")
    parser.add_argument("out", metavar="OUT", type=Path, help="the edited film, an MP4")
    parser.add_argument("--prompt", default="", help="what should change")
    parser.add_argument(
        "--timeline", metavar="FILE", type=Path, help="JSON of edits over time, instead of --prompt"
    )
    parser.add_argument("--strength", type=float, default=1.0, help="of --prompt, 0 to 1")
    parser.add_argument("--seed", type=int, default=0, help="of --prompt")
    parser.add_argument("--model", default="", help="one of `relens models` (nano)")
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        help="of the model, over all spans edited at once; 0: as many as there are cores",
    )
    parser.add_argument(
        "--crf", type=int, default=18, help=f"quality of x264, 0 to {WORST_CRF}; lower is better"
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="of x264: slower ones make smaller files, not better pictures (superfast without CABAC)",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")


def run(arguments: dict[str, Any]) -> int:
    """0 when OUT is there, 1 when something is wrong with the film or the words, 130 after Ctrl-C.

    Raises ModelError, DeviceError for a model that cannot be loaded."""
    try:
        with EditBar(sys.stderr) as bar:
            return _edit(arguments, bar)
    except (FilmError, FrameError) as error:
        print(f"relens edit: {error}", file=sys.stderr)
        return FAULT
    except KeyboardInterrupt:
        print("relens edit: stopped. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(
            f"relens edit: {error.strerror or error}{where}. What is done is kept: the same command goes on.",
            file=sys.stderr,
        )
        return FAULT


def _edit(arguments: dict[str, Any], bar: EditBar) -> int:
    from gpu.film.assemble import assemble
    from gpu.film.cut import even_spans
    from gpu.film.produce import produce
    from gpu.film.reader import LIMITS, held, open_file
    from gpu.film.render import PREROLL_S, resolved
    from gpu.film.segment import OutputSettings, init_segment
    from gpu.film.work import work_key
    from server.edit_crew import Crew, Tools

    _check_numbers(arguments)
    source, out = arguments["source"], _followed(arguments["out"])
    _check_out(source, out, arguments["force"])
    timeline = _timeline(arguments)
    name = arguments["model"] or timeline.model or "nano"
    preset = arguments["preset"]
    settings = OutputSettings(crf=arguments["crf"], preset=preset or "superfast", cavlc=not preset)
    with contextlib.ExitStack() as open_now:
        fd = open_file(source, LIMITS)
        open_now.callback(os.close, fd)
        source = held(fd, source)  # another film may be put in its place meanwhile
        crew = open_now.enter_context(Crew(source, name, arguments["threads"]))
        model, film = crew.first.model, crew.first.reader
        info = film.info
        steps = resolved(model, steps_of(timeline))
        _say_reading(model, timeline)
        digest = _digest(source)
        work = _Work(out, digest)
        work.folder.mkdir(exist_ok=True)
        open_now.enter_context(_alone(work.folder, out))

        def render(span: Span, path: Path, tools: Tools) -> None:
            made = bar.made
            data = produce(
                tools.model, tools.reader, span, steps, info, settings, lambda done: made(), crew.cancelled
            )
            _write(path, data)

        bar.begin(info.video.frames)
        spans = even_spans(film, LONGEST_SPAN_S, END_SPAN_S, preroll_s=PREROLL_S)
        files: list[Path] = []
        for span in spans:
            path = work.segment(work_key(digest, span, steps, model.spec, settings))
            if path.is_file():
                bar.had(span.frames)
            else:
                crew.put(partial(render, span, path))
            files.append(path)
        crew.end()
        _check_out(source, out, arguments["force"])  # it may have come meanwhile
        bar.say("putting the film together")
        notes = assemble(init_segment(info, settings), files, source, spans, out)
    shutil.rmtree(work.folder, ignore_errors=True)
    bar.end()
    for note in (*notes, *crew.damage()):
        print(note, file=sys.stderr)
    count, lasts = info.video.frames, duration(info.video.duration / CLOCK_HZ)
    print(f"{out}: {count} frame{'s' if count != 1 else ''}, {lasts}", file=sys.stderr)
    return GOOD


@dataclass(frozen=True, slots=True)
class _Work:
    """Where the segments of OUT lie until it is whole. Another source has another folder."""

    out: Path
    digest: str
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.out.with_name(f".{self.out.name}.{self.digest[:12]}.relens"))

    def segment(self, key: str) -> Path:
        return self.folder / f"{key[:40]}.m4s"


@contextlib.contextmanager
def _alone(folder: Path, out: Path) -> Iterator[None]:
    """Two at once would take each other's segments away. Raises FilmError."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FilmError(
                f"another relens edit makes {out} just now: let it end, or name another"
            ) from error
        yield
    finally:
        os.close(held)


def _check_numbers(arguments: dict[str, Any]) -> None:
    if not 0 <= arguments["crf"] <= WORST_CRF:
        raise FilmError(f"--crf {arguments['crf']} is none that x264 has: give 0 (best) to {WORST_CRF}")
    if arguments["threads"] < 0:
        raise FilmError(
            f"--threads {arguments['threads']}: give 1 or more, or 0 for as many as there are cores"
        )
    if not 0 <= arguments["strength"] <= 1:
        raise FilmError(f"--strength {arguments['strength']:g}: give 0 (nothing) to 1 (all of it)")


def _followed(out: Path) -> Path:
    """Where a link leads: its file is made anew, beside it what is done lies, and the link stays."""
    return Path(os.path.realpath(out)) if out.is_symlink() else out


def _check_out(source: Path, out: Path, force: bool) -> None:
    if not out.parent.is_dir():
        raise FilmError(f"there is no folder {out.parent}: make it, or write elsewhere")
    if out.suffix.lower() not in SUFFIXES:
        raise FilmError(f"{out} would hold an MP4: name it {out.with_suffix('.mp4').name}")
    if out.exists() and not out.is_file():
        what = "a folder" if out.is_dir() else "no file"
        raise FilmError(f"{out} is {what}: give the name of a file")
    if out.exists() and source.exists() and out.samefile(source):
        raise FilmError(f"{out} is the film itself: write to another file")
    if out.exists() and not force:
        raise FilmError(f"{out} exists: add --force to replace it")


def _timeline(arguments: dict[str, Any]) -> Timeline:
    path = arguments["timeline"]
    if path is not None:
        if arguments["prompt"]:
            raise FilmError("--prompt and --timeline at once: give one of them")
        try:
            return read_timeline(path.read_bytes())
        except OSError as error:
            raise FilmError(f"the timeline {path} cannot be read ({error.strerror})") from error
    if not arguments["prompt"].strip():
        raise FilmError('what should change? Add --prompt "make it night", or --timeline FILE')
    edit = EditAt(
        prompt=arguments["prompt"], strength=arguments["strength"], seed=arguments["seed"], transition_ms=0
    )
    return check_timeline(Timeline(edits=(edit,)))


def _say_reading(model: Any, timeline: Timeline) -> None:
    """What the words were taken for. Raises FilmError where the only ones mean nothing to the model."""
    edits = [step.edit for step in steps_of(timeline)]
    for number, (edit, settled) in enumerate(zip(edits, settled_in_order(edits, model.read), strict=True)):
        reading = settled.reading
        what = f"{edit.prompt!r}" if len(edits) == 1 else f"edit {number}, {edit.prompt!r}"
        if not reading.understood and len(edits) == 1:
            raise FilmError(f"{model.spec.name} cannot do {what}{why_not(reading)}")
        taken = reading.label or "the source"
        if reading.note:
            taken += f" ({reading.note})"
        if not reading.understood:
            taken = f"not understood{why_not(reading)}"
        print(f"{what}: {taken}", file=sys.stderr)


def _digest(path: Path) -> str:
    made = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            made.update(data)
    return made.hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a segment that is there is one that is done."""
    aside = path.with_suffix(".part")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:  # a full disk: a part helps nobody, and takes room
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
