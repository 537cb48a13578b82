"""An open film in the child: its container, its picture and sound tracks. Knows libav; decodes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av

from gpu.cores import usable_cores
from gpu.film.types import FilmError, FilmLimits

# What films are made of. Anything else libav could decode is more code for a hostile file to reach.
_PICTURES = (
    "h264,hevc,vp8,vp9,libdav1d,av1,libvpx,libvpx-vp9,mpeg4,mpeg2video,mpeg1video,mjpeg,prores,dnxhd,ffv1,"
    "theora,rawvideo,png,h263,vc1,wmv3,qtrle,huffyuv,ffvhuff,utvideo"
)
SOUNDS = (
    "aac,ac3,eac3,mp3,mp3float,mp2,mp2float,opus,libopus,vorbis,libvorbis,flac,alac,pcm_s16le,pcm_s16be,"
    "pcm_s24le,pcm_s24be,pcm_s32le,pcm_f32le,pcm_u8,dca,amrnb,amrwb"
)
_MOST_STREAMS = 256  # libav gives up there; what is taken is the limits' matter
_PICTURE_NOTES = 0x400 | 0x800 | 0x100000  # dispositions: attached picture, timed thumbnails, still image


@dataclass(frozen=True, slots=True)
class Opening:
    """How to open it. `careful`: one thread and libav's own repair of damage; else `limits.most_threads`, and
    damage is an error. `rough`: edges between blocks are not smoothed, which spares a third of decoding H.264
    and HEVC."""

    fd: int
    demuxer: str
    limits: FilmLimits
    careful: bool = False
    rough: bool = False


class Source:
    """`video` and `audio` are libav's streams."""

    def __init__(self, opening: Opening) -> None:
        """Raises FilmError."""
        self.opening = opening
        self._before = _state(opening.fd)
        self._container: Any = _open(opening)
        self.fresh = True  # nothing has been read
        streams = [each for each in self._container.streams if each.type != "attachment"]
        if len(streams) > opening.limits.most_streams:
            self.close()
            raise FilmError(
                f"the film has {len(streams)} tracks: at most {opening.limits.most_streams} are taken"
            )
        self.video: Any = self._picture_track(streams)
        self.audio: Any = next((each for each in streams if each.type == "audio"), None)
        context = self.video.codec_context
        context.thread_type = "NONE" if opening.careful else "AUTO"
        context.thread_count = 1 if opening.careful else min(opening.limits.most_threads, usable_cores())
        options = {"max_pixels": str(opening.limits.most_pixels)}
        if opening.rough:
            options["skip_loop_filter"] = "all"
        context.options = options if opening.careful else {**options, "err_detect": "explode"}

    def packets(self, sound: bool = False) -> Iterator[Any]:
        """From where it stands; of the picture track and, if asked, the first sound track. The last one of
        each is empty and takes the decoder's rest out."""
        self.fresh = False
        tracks = [self.video] + ([self.audio] if sound and self.audio is not None else [])
        try:
            yield from self._container.demux(tracks)
        except av.FFmpegError as error:
            self.check_unchanged()
            raise FilmError(f"the film cannot be read further ({_said(error)}): send it again") from error

    def seek(self, pts: int) -> bool:
        """To a keyframe at or before, in the picture track's unit; whether the container could."""
        self.fresh = False
        try:
            self._container.seek(pts, stream=self.video, backward=True)
        except (av.FFmpegError, OverflowError):
            return False
        return True

    def check_unchanged(self) -> None:
        """Raises FilmError when the file was written to since it was opened."""
        if _state(self.opening.fd) != self._before:
            raise FilmError("the file was changed while it was read: send it again and leave it alone")

    def close(self) -> None:
        self._container.close()

    def _picture_track(self, streams: list[Any]) -> Any:
        found = [each for each in streams if each.type == "video" and not each.disposition & _PICTURE_NOTES]
        if not found:
            kinds = ", ".join(sorted({each.type for each in streams})) or "nothing"
            self.close()
            raise FilmError(f"the film has no pictures, only {kinds}: send a file with a video track")
        track = found[0]
        if track.codec_context is None or track.codec_context.codec.name not in _PICTURES.split(","):
            name = track.name or "unknown"
            self.close()
            raise FilmError(f"pictures in the codec {name!r} are not taken: convert the film to H.264 or VP9")
        if track.codec_context.codec_tag == "encv":
            self.close()
            raise FilmError("the film is encrypted: send it without copy protection")
        pixels, most = track.width * track.height, self.opening.limits.most_pixels
        if pixels > most:
            self.close()
            raise FilmError(
                f"pictures of {track.width}x{track.height} are larger than the {most} pixels that are taken: "
                "send the film smaller"
            )
        return track


def _open(opening: Opening) -> Any:
    os.lseek(opening.fd, 0, os.SEEK_SET)
    try:
        return av.open(
            "fd:",
            format=opening.demuxer,
            options={
                "fd": str(opening.fd),
                "protocol_whitelist": "fd",
                "format_whitelist": ",".join(opening.limits.containers),
                "codec_whitelist": f"{_PICTURES},{SOUNDS}",
                "max_streams": str(_MOST_STREAMS),
                "max_pixels": str(opening.limits.most_pixels),
                **({"enable_drefs": "0", "use_absolute_path": "0"} if opening.demuxer == "mov" else {}),
            },
            metadata_errors="replace",
        )
    except (MemoryError, av.error.MemoryError) as error:  # also libav's word for too many tracks
        raise FilmError(
            f"the film needs more memory or tracks than are given to it ({_MOST_STREAMS} tracks, "
            f"{opening.limits.memory_bytes >> 20} MiB): send it with fewer tracks"
        ) from error
    except (av.FFmpegError, ValueError) as error:
        raise FilmError(
            f"the film cannot be opened ({_said(error)}): it is damaged; send it again"
        ) from error


def _state(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_size, found.st_mtime_ns


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
