"""In which order a stream's pictures are shown, told from its times. Knows no decoder.

The parser tells too, but holds H.264 back unless the stream says that nothing is reordered, which many
senders do not say. Where times never step back, nothing is: each picture is shown as soon as it is decoded.
"""

from __future__ import annotations

from gpu.types import CLOCK_HZ, Codec

# In these a picture may be shown after later ones (B-frames), and each is shown once. In the others pictures
# come out in order, some are never shown, and some are shown again.
_REORDERED = ("h264", "hevc")
_REMEMBERED = 32  # units without a step back after which nothing is reordered; B-frames come more often
_MOST_LATE = 16  # pictures in a row, as many as the codecs reorder; more, and the sender's clock was set back


class Order:
    """Of one stream. Times in 90 kHz ticks; a step of a second or more begins anew."""

    def __init__(self, codec: Codec) -> None:
        self.reorders = codec in _REORDERED  # whether the codec can
        self._newest: int | None = None  # of the units
        self._shown: int | None = None
        self._remembered = 0
        self._late = 0

    def begin(self, pts: int) -> None:
        """A unit comes."""
        if _is_back(pts, self._newest):
            self._remembered = _REMEMBERED
        else:
            self._newest = pts
            self._remembered = max(0, self._remembered - 1)

    @property
    def early(self) -> bool:
        """Whether a picture is shown as soon as it is decoded, without the parser's word."""
        return self.reorders and not self._remembered

    def is_late(self, pts: int) -> bool:
        """Whether the picture to be shown is to be left out: the first B-frames of a stream, for what comes
        after them was shown before they were known."""
        back = self.reorders and _is_back(pts, self._shown)
        self._late = self._late + 1 if back else 0
        return 0 < self._late <= _MOST_LATE

    def show(self, pts: int) -> None:
        """A picture is shown."""
        self._shown = pts


def _is_back(pts: int, last: int | None) -> bool:
    return last is not None and 0 < last - pts < CLOCK_HZ
