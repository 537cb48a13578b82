"""Ditto-1M as it is published: which source clip, edited clip and instruction belong together; their frames.

Layout (https://huggingface.co/datasets/QingyanBai/Ditto-1M, CC BY-NC-SA 4.0, no commercial use):

    videos/{source,local,global_style1,global_style2,global_freeform1..3}/*.mp4   unpacked from *.tar.gz.NN
    training_metadata/*.json      lists of {"source_path", "instruction", "edited_path"}, paths below videos/
    csvs_for_DiffSynth/*.csv      the same with columns video (edited), vace_video (source), prompt

Knows files and frames; what an instruction means is asked of a reader (the text tower).
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError

from gpu.nano.distill.pictures import CLIP_EVERY, CLIP_MOST, MIN_SIDE, POOL_PIXELS, U8
from gpu.types import Reading

METADATA, CSVS, VIDEOS = "training_metadata", "csvs_for_DiffSynth", "videos"
SOURCE = (
    "source"  # the folder of real clips; where `source_path` is elsewhere (sim2real.json) it is synthetic
)
Pair = tuple[list[U8], list[U8], str]  # source clip, edited clip, instruction
OUT_OF_REACH = "(not one edit of nano)"
_NAMED = 20  # problems kept by name; the rest only counted
_SHAPE_TOLERANCE = 0.03  # of width / height between a source and its edit


@dataclass(frozen=True, slots=True)
class Triplet:
    """One published pair of clips and what was asked for."""

    source: Path
    edited: Path
    instruction: str

    @property
    def is_real(self) -> bool:
        """The source is a camera's clip."""
        return SOURCE in self.source.parts


@dataclass(slots=True)
class Listing:
    """What a copy of the data set holds, and what is wrong with it."""

    triplets: list[Triplet] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)  # kind -> how many
    named: list[str] = field(default_factory=list)  # the first of them, by name

    def blame(self, kind: str, name: str) -> None:
        self.problems[kind] += 1
        if len(self.named) < _NAMED:
            self.named.append(f"{kind}: {name}")


def list_triplets(root: Path) -> Listing:
    """Every pair whose two clips are there. Takes the JSON metadata, and the CSV files where there is none.

    Raises SystemExit naming the remedy where `root` is no copy of the data set or holds no usable pair."""
    tables = sorted((root / METADATA).glob("*.json")) or sorted((root / CSVS).glob("*.csv"))
    if not tables:
        raise SystemExit(
            f"{root} has neither {METADATA}/*.json nor {CSVS}/*.csv: give the folder that holds Ditto-1M"
        )
    listing, seen = Listing(), set[Triplet]()
    for table in tables:
        for number, row in enumerate(_rows(table, listing)):
            triplet = _triplet(root, row, f"{table.name} item {number + 1}", listing)
            if triplet is not None and triplet not in seen:
                seen.add(triplet)
                listing.triplets.append(triplet)
    if not listing.triplets:
        packed = sorted({p.parent.name for p in (root / VIDEOS).rglob("*.tar.gz.*")})
        remedy = "download its videos"
        if packed:
            remedy = f"unpack {', '.join(packed)} first (cat NAME.tar.gz.* | tar -xz)"
        raise SystemExit(f"none of the pairs listed in {root} has both clips: {remedy}. {_summary(listing)}")
    return listing


def _summary(listing: Listing) -> str:
    return "; ".join(f"{count} x {kind}" for kind, count in listing.problems.most_common())


def _rows(table: Path, listing: Listing) -> Iterator[dict[str, Any]]:
    try:
        if table.suffix == ".json":
            rows = json.loads(table.read_text(encoding="utf-8"))
            if not isinstance(rows, list):
                raise ValueError("not a list")
        else:
            with table.open(newline="", encoding="utf-8") as file:
                names = {"vace_video": "source_path", "video": "edited_path", "prompt": "instruction"}
                rows = [{names.get(k, k): v for k, v in row.items() if k} for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error) as exc:
        listing.blame("table that cannot be read", f"{table.name} ({exc})")
        return
    for row in rows:
        yield row if isinstance(row, dict) else {}


def _triplet(root: Path, row: dict[str, Any], where: str, listing: Listing) -> Triplet | None:
    texts = [row.get(key) for key in ("source_path", "edited_path", "instruction")]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        listing.blame("item without source_path, edited_path or instruction", where)
        return None
    clips = []
    for text in texts[:2]:
        clip = _find(root, str(text))
        if clip is None:
            listing.blame("clip that is not there", f"{where}: {text}")
            return None
        clips.append(clip)
    return Triplet(clips[0], clips[1], str(texts[2]).strip())


def _find(root: Path, name: str) -> Path | None:
    """The file of a listed path: below videos/ as published, or where unpacking in place leaves it."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return None  # a listing may not point outside its folder
    below = path.relative_to(VIDEOS) if path.parts[0] == VIDEOS else path
    for place in (root / VIDEOS / below, root / path, root / VIDEOS / below.parts[0] / below):
        if place.is_file():
            return place
    return None


def assign(triplets: list[Triplet], read: Callable[[str], Reading]) -> dict[str, list[Triplet]]:
    """Pairs by the one edit that the text tower takes the instruction for; the rest under OUT_OF_REACH."""
    by_edit: dict[str, list[Triplet]] = {}
    for triplet in triplets:
        reading = read(triplet.instruction)
        one = reading.understood and len(reading.parts) == 1 and reading.parts[0].region == "everywhere"
        by_edit.setdefault(reading.parts[0].name if one else OUT_OF_REACH, []).append(triplet)
    return by_edit


def frames_of(path: Path, every: int = CLIP_EVERY, most: int = CLIP_MOST) -> list[U8]:
    """Every n-th frame, RGB uint8 [H, W, 3] of at most POOL_PIXELS. Raises ValueError for no video."""
    frames: list[U8] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path} has no picture")
            for number, frame in enumerate(container.decode(video=0)):
                if number % every == 0:
                    scale = min(1.0, (POOL_PIXELS / (frame.width * frame.height)) ** 0.5)
                    size = (round(frame.width * scale), round(frame.height * scale))
                    image = frame.to_ndarray(format="rgb24")
                    frames.append(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
                    if len(frames) == most:
                        break
    except FFmpegError as exc:
        raise ValueError(f"{path} is no video that can be read ({exc})") from exc
    if not frames or min(frames[0].shape[:2]) < MIN_SIDE:
        raise ValueError(f"{path} has no frame of at least {MIN_SIDE} pixels on its shorter side")
    return frames


def pair_frames(triplet: Triplet, every: int = CLIP_EVERY, most: int = CLIP_MOST) -> list[tuple[U8, U8]]:
    """[(source, edited)] of the same moments and size. Raises ValueError where the clips do not match."""
    source, edited = frames_of(triplet.source, every, most), frames_of(triplet.edited, every, most)
    one, other = source[0].shape[:2], edited[0].shape[:2]
    if abs(one[1] * other[0] / (one[0] * other[1]) - 1) > _SHAPE_TOLERANCE:
        raise ValueError(f"{triplet.edited} has another shape than its source: {other}, not {one}")
    size = (one[1], one[0])
    if one != other:
        edited = [np.asarray(cv2.resize(e, size, interpolation=cv2.INTER_AREA), np.uint8) for e in edited]
    return list(zip(source, edited, strict=False))


def pairs(listing: Listing, every: int = CLIP_EVERY, most: int = CLIP_MOST) -> Iterator[Pair]:
    """(source clip, edited clip, instruction) of every pair that can be decoded; the rest is blamed."""
    for triplet in listing.triplets:
        try:
            both = pair_frames(triplet, every, most)
        except ValueError as exc:
            listing.blame("pair that cannot be used", str(exc))
            continue
        yield [a for a, _ in both], [b for _, b in both], triplet.instruction


def photographs(listing: Listing, every: int = CLIP_EVERY, most: int = CLIP_MOST) -> Iterator[U8]:
    """Frames of the real source clips, each clip once: they join the pool of pictures."""
    for path in sorted({triplet.source for triplet in listing.triplets if triplet.is_real}):
        try:
            yield from frames_of(path, every, most)
        except ValueError as exc:
            listing.blame("clip that cannot be read", str(exc))
