"""When to tell a user that the machine is too slow, or well again. Pure: time comes in as numbers."""

from __future__ import annotations

SUSTAINED_S = 2.0  # shorter dips are not worth a message
_FALLING_BEHIND = 0.88  # of the input's rate; above it a viewer sees nothing
_RECOVERED = 0.95
_HALF = 0.5
_LEAST_FPS = 4  # below, the one picture that is on its way is too large a share: a stopped film's come seldom
OK, SLOWED, HALVED, STUCK = 0, 1, 2, 3


class Ladder:
    """Levels: 0 keeps up, 1 drops frames, 2 drops more than half, 3 stands still (the watchdog's word)."""

    def __init__(self) -> None:
        self.level = OK
        self._candidate = OK
        self._since_s: float | None = None

    def observe(self, now_s: float, fps_in: float, fps_out: float) -> tuple[int, str] | None:
        """Take the rates of the last second; (level, message) when the level changed, else None."""
        candidate = self._judge(fps_in, fps_out)
        if candidate == self.level:
            self._since_s = None
            return None
        if self._since_s is None or candidate != self._candidate:
            # Worse or better in another degree keeps the clock; only a change of direction restarts it.
            turned = self._since_s is None or (candidate > self.level) != (self._candidate > self.level)
            self._candidate = candidate
            self._since_s = now_s if turned else self._since_s
        if self._since_s is None or now_s - self._since_s < SUSTAINED_S:
            return None
        self.level, self._since_s = candidate, None
        if candidate == OK:
            return OK, f"{fps_out:.0f} fps: keeping up again"
        return candidate, f"{fps_out:.0f} fps: this machine is busy"

    def stuck(self, step_s: float) -> tuple[int, str] | None:
        """The watchdog's word: one step takes very long. (level, message) the first time."""
        if self.level == STUCK:
            return None
        self.level, self._since_s = STUCK, None
        return STUCK, f"the model has been busy with one picture for {step_s:.0f} s"

    def _judge(self, fps_in: float, fps_out: float) -> int:
        if fps_in < _LEAST_FPS:
            return self.level  # next to nothing comes in: nothing to judge
        share = fps_out / fps_in
        if share >= (_FALLING_BEHIND if self.level == OK else _RECOVERED):
            return OK
        return SLOWED if share >= _HALF else HALVED
