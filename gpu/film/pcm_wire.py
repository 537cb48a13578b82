"""Sound as it crosses from the child that decodes it: the shape of its blocks. Data only."""

from __future__ import annotations

RATE_HZ, CHANNELS = 48_000, 2  # s16, the channels of a sample side by side
SAMPLES = 960  # of a block: 20 ms, as Opus is packed (RFC 7587 §4.2)
BLOCK_BYTES = SAMPLES * CHANNELS * 2
