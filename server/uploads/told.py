"""What is said of a film, as it is kept with a video and read from there again. Knows no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from gpu.film.types import AudioInfo, FilmInfo, VideoInfo


def told(info: FilmInfo) -> dict[str, Any]:
    """As JSON can hold it."""
    said = asdict(info)
    said["video"]["fps"] = [info.video.fps.numerator, info.video.fps.denominator]
    return said


def film_info(said: Mapping[str, Any]) -> FilmInfo:
    """The same again. Raises KeyError or TypeError for what `told` did not write."""
    video = VideoInfo(**{**said["video"], "fps": Fraction(*said["video"]["fps"])})
    audio = AudioInfo(**said["audio"]) if said["audio"] else None
    return FilmInfo(said["container"], video, audio, said["bytes"])
