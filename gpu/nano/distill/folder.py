"""A user's own folder of pictures and videos: what can be learned from, and by name what cannot and why.

Nothing in the folder is fatal; nothing is changed there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from gpu.nano.distill.pictures import (
    CLIPS,
    MIN_SIDE,
    PHOTOGRAPHS,
    U8,
    files_of,
    read_clip,
    read_picture,
)

_NAMED = 20  # files named one by one; the rest is counted


@dataclass(slots=True)
class Folder:
    """What was read: photographs first, then frames of clips."""

    pictures: list[U8] = field(default_factory=list)
    photographs: int = 0
    clips: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> how many files
    named: list[str] = field(default_factory=list)

    def leave_out(self, path: Path, reason: str) -> None:
        self.left_out[reason] += 1
        if len(self.named) < _NAMED:
            self.named.append(f"{path}: {reason}")

    def report(self) -> str:
        """A few lines for people."""
        lines = [f"{self.photographs} photographs, {self.clips} clips: {len(self.pictures)} pictures"]
        lines += [f"  left out: {count} x {reason}" for reason, count in self.left_out.most_common()]
        lines += [f"    {name}" for name in self.named]
        if (more := self.left_out.total() - len(self.named)) > 0:
            lines.append(f"    and {more} more")
        return "\n".join(lines)


def read_folder(root: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Folder:
    """Everything below `root`. Raises SystemExit where it is no folder."""
    if not root.is_dir():
        raise SystemExit(f"{root} is no folder: give one with your pictures or videos")
    folder, files = Folder(), files_of([root])
    clips: list[U8] = []
    for number, path in enumerate(files):
        kind = path.suffix.lower()
        try:
            if kind in PHOTOGRAPHS:
                _photograph(path, folder)
            elif kind in CLIPS:
                frames = read_clip(path)
                folder.clips += bool(frames)
                clips += frames
                if not frames:
                    folder.leave_out(path, f"no video that can be read, or smaller than {MIN_SIDE} pixels")
            else:
                folder.leave_out(path, f"not a picture or video ({kind or 'no extension'})")
        except (cv2.error, OSError, ValueError, MemoryError) as exc:
            folder.leave_out(path, f"cannot be read ({type(exc).__name__})")
        progress(number + 1, len(files))
    folder.pictures += clips
    return folder


def _photograph(path: Path, folder: Folder) -> None:
    picture = read_picture(path)
    if picture is not None:
        folder.pictures.append(picture)
        folder.photographs += 1
        return
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        reason = "no picture that can be read"
    elif min(image.shape[:2]) < MIN_SIDE:
        reason = f"smaller than {MIN_SIDE} pixels"
    else:
        reason = "no photograph: grey, transparent, or of few colours"
    folder.leave_out(path, reason)
