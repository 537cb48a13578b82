"""Takes files that are on this machine already into the store: by a link where that works, else by a copy."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from gpu.checkpoints.catalogue import LargeModel, WeightsFile
from gpu.checkpoints.download import SPARE_BYTES, free_bytes
from gpu.checkpoints.fault import size_text
from gpu.checkpoints.records import Record
from gpu.checkpoints.store import Store, part_of
from gpu.checkpoints.verify import structure_fault
from gpu.errors import ModelError


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file. `source`: None where it was there already."""

    file: WeightsFile
    source: Path | None
    how: str  # "linked", "copied", "there already"


def adopt(store: Store, model: LargeModel, given: Path) -> list[Taken]:
    """Take what `given` has of a model: a folder in any layout that the store reads, or one file by its name.

    What is not in it is left out. Raises ModelError for a path with nothing usable in it, for a file that is
    not what the catalogue knows, and when the store cannot be written."""
    if not given.exists():
        raise ModelError(f"there is no {given}: give the folder that holds the files")
    there = {found.file.name for found in store.look(model) if found.whole}
    taken: list[Taken] = []
    seen = _seen(model, given)
    for file, source in seen:
        if file.name in there:
            taken.append(Taken(file, None, "there already"))
            continue
        place = store.own_place(file)
        if os.path.exists(place) and not place.is_symlink() and source.samefile(place):  # False where shut
            raise ModelError(
                f"{source} is the store's own, and a check found it bad: run `relens models download "
                f"{model.name}`, or give another folder"
            )
        if fault := _unfit(model, file, source):
            raise ModelError(fault)
        try:
            how = _put(source.resolve(), place)
        except OSError as exc:
            raise ModelError(
                f"{place} cannot be made ({exc.strerror or exc}): check the folder, or "
                "choose another by --models-dir"
            ) from exc
        store.records.put(file, Record(size_bytes=source.stat().st_size, origin=str(source)))
        taken.append(Taken(file, source, how))
    if not taken:
        wanted = ", ".join(file.path for file in model.files)
        raise ModelError(f"{given} holds nothing of {model.name}; wanted are {wanted}")
    return taken


def _seen(model: LargeModel, given: Path) -> list[tuple[WeightsFile, Path]]:
    if given.is_file():
        return [(file, given) for file in model.files if Path(file.path).name == given.name]
    return [
        (found.file, found.path) for found in Store(given).look(model) if found.have_bytes and not found.half
    ]


def _unfit(model: LargeModel, file: WeightsFile, path: Path) -> str:
    size = path.stat().st_size
    if file.size_bytes is not None and size != file.size_bytes:
        return f"{path} has {size} bytes instead of {file.size_bytes}: it is another file, or cut short"
    return structure_fault(path, model.name)


def _put(source: Path, place: Path) -> str:
    """Raises OSError, ModelError when a copy would not fit."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part_of(place).unlink(missing_ok=True)
    place.unlink(missing_ok=True)
    try:
        place.symlink_to(source)
        return "linked"
    except OSError:  # Windows without the right to, disks without links
        pass
    try:
        os.link(source, place)
        return "linked"
    except OSError:
        pass
    size, free = source.stat().st_size, free_bytes(place.parent)
    if size + SPARE_BYTES > free:
        raise ModelError(
            f"{source} can only be copied to {place.parent}, and takes {size_text(size)}: {size_text(free)} "
            "are free there; point --models-dir at the files instead"
        )
    shutil.copyfile(source, part_of(place))
    part_of(place).replace(place)
    return "copied"
