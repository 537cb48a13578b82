"""What bitrate the encoder is asked for: the browser's REMB, tempered by the loss it reports. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable

STEP = 0.05  # changes smaller than this share are not passed on
LOSS_HIGH, LOSS_LOW = 0.10, 0.02
LOSS_EVERY_S = 0.5
LOSS_WEIGHT = 0.3  # of one report: at few packets a second each is mostly chance


class RateControl:
    """Calls `on_bitrate` with a value between floor and ceiling whenever it changes by more than STEP.

    It begins at `start`, which the encoder is opened with, and probes upwards from there.
    """

    def __init__(
        self,
        floor: int,
        start: int,
        ceiling: int,
        on_bitrate: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._floor, self._ceiling = floor, ceiling
        self._on_bitrate = on_bitrate
        self._clock = clock
        self._remb = ceiling
        start = min(max(start, floor), ceiling)
        self._by_loss = float(start)
        self._last_loss = 0.0
        self.loss = 0.0
        self.target = self._told = start

    def on_remb(self, bps: int) -> None:
        self._remb = bps
        self._update()

    def on_loss(self, fraction: float) -> None:
        """The loss of a receiver report. Much of it lowers the rate; none lets it rise again, slowly."""
        self.loss += LOSS_WEIGHT * (fraction - self.loss)
        now = self._clock()
        if now - self._last_loss < LOSS_EVERY_S:
            return
        self._last_loss = now
        if self.loss > LOSS_HIGH:
            self._by_loss = min(self._by_loss, self.target) * (1 - self.loss / 2)
        elif self.loss < LOSS_LOW:
            self._by_loss = self._by_loss * 1.08 + 8_000
        self._by_loss = min(max(self._by_loss, self._floor), self._ceiling)
        self._update()

    def _update(self) -> None:
        self.target = int(min(max(min(self._remb, self._by_loss), self._floor), self._ceiling))
        told = self._told
        at_bound = self.target in (self._floor, self._ceiling) and self.target != told
        if at_bound or abs(self.target - told) > STEP * told:
            self._told = self.target
            self._on_bitrate(self.target)
