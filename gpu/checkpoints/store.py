"""Where weights lie on this machine, and which are there. Looks at names and sizes; reads no weights.

Ours is one folder a repository, by the hub's own names: `<root>/Wan-AI/Wan2.1-T2V-1.3B/Wan2.1_VAE.pth`.
Folders that others laid out serve as they are: without the owner's name, as Wan's and LiveEdit's READMEs say,
all files in one folder, or the hub's cache (`models--owner--name/snapshots/…`).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gpu.checkpoints import catalogue
from gpu.checkpoints.catalogue import LargeModel, Part, Source, WeightsFile
from gpu.checkpoints.fault import size_text
from gpu.checkpoints.records import Records, prune

State = Literal["ready", "incomplete", "not downloaded"]


@dataclass(frozen=True, slots=True)
class Weights:
    """Every file of a model, there and of the right size. `parts["tokenizer"]` is a folder."""

    model: str
    parts: Mapping[Part, Path]


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a model has no weights here, and what to do: one message of one line."""

    message: str


@dataclass(frozen=True, slots=True)
class Found:
    """One file as it lies here. `path`: where it is, or would be put. `have_bytes`: of it, half files too;
    None when nothing is there. `expected_bytes`: None where unknown. `fault`: what a check found in it."""

    file: WeightsFile
    path: Path
    have_bytes: int | None
    expected_bytes: int | None
    half: bool = False  # a download that was interrupted
    fault: str = ""

    @property
    def whole(self) -> bool:
        """There, by its size alone, and not known to be bad."""
        if self.half or self.fault or not self.have_bytes:
            return False
        return self.expected_bytes is None or self.have_bytes == self.expected_bytes


class Store:
    """One folder of weights, ours or laid out by others."""

    def __init__(self, folder: str | Path = "") -> None:
        """`folder`: setting models_dir; "" is `~/.cache/relens/models`. Nothing is created yet."""
        self.root = Path(folder).expanduser() if str(folder) else Path.home() / ".cache/relens/models"
        self.records = Records(self.root)

    def own_place(self, file: WeightsFile) -> Path:
        """Where relens itself puts a file."""
        return self.root / file.source.repo / file.path

    def look(self, model: LargeModel) -> list[Found]:
        """Every file of a model as it lies here, in the catalogue's order.

        What a part consists of is looked for together: a tokenizer's files must share a folder."""
        parts = [self._part(model, part) for part in dict.fromkeys(file.part for file in model.files)]
        by_name = {found.file.name: found for part in parts for found in part}
        return [by_name[file.name] for file in model.files]

    def find(self, name: str) -> Weights | Missing:
        """A model's weights, or what to do to get them. Raises ModelError for a name without any."""
        model = catalogue.named(name)
        found = self.look(model)
        if not all(each.whole for each in found):
            return Missing(self.why_not(model))
        parts: dict[Part, Path] = {}
        for each in found:
            parts[each.file.part] = each.path.parent if each.file.part == "tokenizer" else each.path
        return Weights(name, parts)

    def state(self, model: LargeModel) -> State:
        """Whether a model's weights are all there, some of them, or none."""
        found = self.look(model)
        if all(each.whole for each in found):
            return "ready"
        return "incomplete" if any(each.have_bytes for each in found) else "not downloaded"

    def left(self, model: LargeModel) -> str:
        """What is still to come, for people: "11.91 GB and x.pt of unknown size"."""
        lacking = [found for found in self.look(model) if not found.whole]
        bytes_left = sum((each.expected_bytes or 0) - (each.have_bytes or 0) * each.half for each in lacking)
        unknown = [each.file.path for each in lacking if each.expected_bytes is None]
        more = f" and {', '.join(unknown)} of unknown size" if unknown else ""
        return size_text(max(bytes_left, 0)) + more

    def removable(self, model: LargeModel) -> tuple[list[Found], list[tuple[WeightsFile, str]]]:
        """What of a model lies in our own place and no other model that is here needs; and what one needs,
        with its name."""
        going, kept = [], []
        others = [other for other in catalogue.MODELS if other is not model and self._is_here(other, model)]
        for found in self.look(model):
            users = [other.name for other in others if found.file in other.files]
            if users:
                kept.append((found.file, users[0]))
            elif found.have_bytes is not None and found.path == self.own_place(found.file):
                going.append(found)
        return going, kept

    def _is_here(self, other: LargeModel, model: LargeModel) -> bool:
        """Ready, or begun with a file that is not `model`'s too."""
        found = self.look(other)
        return all(each.whole for each in found) or any(
            each.have_bytes for each in found if each.file not in model.files
        )

    def forget(self, file: WeightsFile) -> int:
        """Remove a file from its own place, half files too; of a link the link alone. Bytes that were freed.

        Raises OSError."""
        place, freed = self.own_place(file), 0
        for path in (place, part_of(place)):
            if path.is_symlink() or path.exists():
                freed += 0 if path.is_symlink() else path.stat().st_size
                path.unlink()
        self.records.drop(file)
        prune(place.parent, self.root)
        return freed

    def _found(self, file: WeightsFile, path: Path) -> Found:
        record = self.records.get(file) if path == self.own_place(file) else None
        expected = file.size_bytes
        if expected is None and record is not None:
            expected = record.size_bytes
        for place, half in ((path, False), (part_of(path), True)):
            with contextlib.suppress(OSError):  # is not there, or went just now
                there = place.stat()
                fault = ""
                if record is not None and not half and record.fault_mtime_ns == there.st_mtime_ns:
                    fault = record.fault
                if stat.S_ISREG(there.st_mode):
                    return Found(file, path, there.st_size, expected, half, fault)
        return Found(file, path, None, expected)

    def _part(self, model: LargeModel, part: Part) -> list[Found]:
        """A part's files where they are whole; else where there is something of them, ours first."""
        files = [file for file in model.files if file.part == part]
        tried = [
            [self._found(file, folder / file.path) for file in files]
            for folder in folders(self.root, files[0].source)
        ]
        for found in tried:
            if all(each.whole for each in found):
                return found
        for found in tried:
            if any(each.have_bytes is not None for each in found):
                return found
        return tried[0]

    def why_not(self, model: LargeModel) -> str:
        """What a model that is not ready lacks, and what to run."""
        found = self.look(model)
        lacking, size = [each for each in found if not each.whole], self.left(model)
        if all(each.have_bytes is None for each in found):
            what = f"the weights of {model.name} are not on this machine ({size})"
        else:
            which = ", ".join(_lack(each) for each in lacking[:3])
            more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
            what = f"the weights of {model.name} are incomplete ({which}{more}; {size} to go)"
        return (
            f"{what}: run `relens models download {model.name}`, or, where you have the files, `relens "
            f"models add {model.name} --from FOLDER`; looked in {self.root}{self._shut()}"
        )

    def _shut(self) -> str:
        """Said of a folder that is there, and not for us."""
        if os.path.exists(self.root) and not os.access(self.root, os.R_OK | os.X_OK):
            return ", which this user may not read: open it to the user, or choose another by --models-dir"
        return ""


def find(name: str, models_dir: str = "") -> Weights | Missing:
    """As Store(models_dir).find(name)."""
    return Store(models_dir).find(name)


def part_of(path: Path) -> Path:
    """Where a file is kept that is not whole yet."""
    return path.with_name(f"{path.name}.part")


def folders(root: Path, source: Source) -> Iterator[Path]:
    """Where below `root` a repository's files may lie: our place first, then as others lay them out."""
    owner, _, name = source.repo.partition("/")
    yield root / source.repo
    yield root / name
    yield from (root / folder for folder in source.also_under)
    yield root
    for cached in (root, root / "hub"):
        snapshots = cached / f"models--{owner}--{name}" / "snapshots"
        try:
            found = sorted(snapshots.iterdir()) if snapshots.is_dir() else None
        except OSError:  # another's, and shut
            continue
        if found is not None:
            yield snapshots / source.revision
            yield from found


def _lack(each: Found) -> str:
    name = each.file.path.rpartition("/")[2]
    if each.fault:
        return f"{name} {each.fault}"
    if each.have_bytes is None:
        return f"{name} is missing"
    there = size_text(each.have_bytes)
    if each.expected_bytes is None:
        return f"{name}: {there} are there"
    return f"{name}: {there} of {size_text(each.expected_bytes)} are there"
