"""FFmpeg's command line, for SRT alone: PyAV's own libraries do not have it. Found, asked, started.

Neither a URL's stream id nor its passphrase is in the command's arguments, which every user of the machine
can read: options of what is written come from a file descriptor (-fpre), what is read from a list on its
standard input (the concat demuxer).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

from gpu.film import sandbox
from server.push import limits

MEMORY_BYTES = 1 << 30
_ASK_S = 10.0
NO_SRT = (
    "install an FFmpeg with SRT (Debian, Ubuntu: apt-get install ffmpeg), or put MediaMTX beside relens "
    "(docker/bridge.yaml)"
)


@dataclass(frozen=True, slots=True)
class Ffmpeg:
    """`path` "" where there is none; `why` what is missing, "" where nothing is."""

    path: str = ""
    version: str = ""
    why: str = ""


def find() -> Ffmpeg:
    """The FFmpeg of this machine and whether it has SRT. Runs it: not for the loop's thread."""
    path = shutil.which("ffmpeg")
    if path is None:
        return Ffmpeg(why="there is no ffmpeg")
    try:
        asked = [_ask(path, "-version"), _ask(path, "-protocols")]
    except (OSError, subprocess.SubprocessError) as error:
        return Ffmpeg(path, why=f"{path} does not run ({type(error).__name__})")
    version = asked[0].split()[2] if len(asked[0].split()) > 2 else "?"
    if "srt" not in asked[1].split():
        return Ffmpeg(path, version, f"ffmpeg {version} was built without SRT")
    return Ffmpeg(path, version)


def start(
    command: list[str], *, stdin: int, stdout: int = subprocess.DEVNULL, pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """For a child with one thread: FFmpeg ends with it, and has limits of its own. Raises OSError."""

    def enter() -> None:
        sandbox.limit(MEMORY_BYTES, most_files=limits.MOST_FILES)
        sandbox.end_with_parent()

    return subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, pass_fds=pass_fds, cwd="/", env={},
        preexec_fn=enter, bufsize=0,
    )  # fmt: skip


def given(text: str) -> int:
    """A descriptor to read a short text from. Raises OSError."""
    reading, writing = os.pipe()
    try:
        os.write(writing, text.encode())  # shorter than any pipe
    finally:
        os.close(writing)
    return reading


def _ask(path: str, what: str) -> str:
    done = subprocess.run(
        [path, "-hide_banner", what],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_ASK_S,
        check=True,
    )
    return done.stdout.decode("utf-8", "replace")
