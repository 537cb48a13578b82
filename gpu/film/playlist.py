"""HLS playlists of a film (RFC 8216): its pictures, its sound, and the one that names both. Knows spans and
URLs.

The whole film is in the list from the beginning on, each segment with its exact length, so that the seek bar
is whole while most of it is still to be rendered; a server answers for what is not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil

from gpu.film.rendition import Rendition
from gpu.film.types import FilmInfo, Span
from gpu.types import CLOCK_HZ

MEDIA_TYPE = "application/vnd.apple.mpegurl"  # RFC 8216 §4
_VERSION = 7  # EXT-X-MAP in lists of other than I-frames (§7), and fractions of seconds
_MICRO = 1_000_000
_BITS_A_PIXEL = Fraction(
    1, 4
)  # of x264 at crf 18, in busy pictures: what a player is told before any is rendered


def playlist(spans: Sequence[Span], url_of: Callable[[int], str], init_url: str = "init.mp4") -> str:
    """Of the pictures. `url_of`: of the segment with an index; relative URLs count from the playlist's
    own."""
    times = [Fraction(0), *(Fraction(span.end, CLOCK_HZ) for span in spans)]
    rows = [f'#EXT-X-MAP:URI="{init_url}"']
    for span, length in zip(spans, _lengths(times), strict=True):
        rows += [f"#EXTINF:{length},", url_of(span.index)]
    return _media(times, rows)


def sound_playlist(rendition: Rendition, url: str) -> str:
    """Of the sound, in byte ranges of the file at `url`."""
    pieces = rendition.pieces
    ends = [piece.start + piece.duration for piece in pieces]
    times = [Fraction(pieces[0].start if pieces else 0, rendition.rate)]
    times += [Fraction(end, rendition.rate) for end in ends]
    rows = [f'#EXT-X-MAP:URI="{url}",BYTERANGE="{rendition.init_bytes}@0"']
    for piece, length in zip(pieces, _lengths(times), strict=True):
        rows += [f"#EXTINF:{length},", f"#EXT-X-BYTERANGE:{piece.bytes}@{piece.at}", url]
    return _media(times, rows)


def master_playlist(
    info: FilmInfo, codec: str, pictures_url: str, rendition: Rendition | None = None, sound_url: str = ""
) -> str:
    """The one to open. `codec`: of the pictures, as `segment.codec_string` says it."""
    video = info.video
    bps = ceil(video.width * video.height * video.fps * _BITS_A_PIXEL) + 200_000
    codecs, group = codec, ""
    rows = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if rendition is not None:
        codecs, group = f"{codec},{rendition.codec}", ',AUDIO="sound"'
        rows.append(
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="sound",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="{rendition.channels}",URI="{sound_url}"'
        )
    rows.append(
        f'#EXT-X-STREAM-INF:BANDWIDTH={bps},CODECS="{codecs}",RESOLUTION={video.width}x{video.height},'
        f"FRAME-RATE={float(video.fps):.3f}{group}"
    )
    return "\n".join([*rows, pictures_url, ""])


def _media(times: Sequence[Fraction], rows: Sequence[str]) -> str:
    longest = max((b - a for a, b in pairwise(times)), default=Fraction(1))
    head = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{max(1, ceil(longest))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    return "\n".join([*head, *rows, "#EXT-X-ENDLIST", ""])


def _lengths(times: Sequence[Fraction]) -> Iterator[str]:
    """Seconds between each time and the next, to the microsecond, so that what is rounded away never adds
    up."""
    marks = [round(time * _MICRO) for time in times]
    for start, end in pairwise(marks):
        yield f"{(end - start) // _MICRO}.{(end - start) % _MICRO:06d}"
