"""How fast one connection is heard. Pure; time is an argument."""

from __future__ import annotations


class Pacing:
    """So many bytes and messages a second together; `burst_s` of that at once."""

    def __init__(self, rate_bytes: int, rate_messages: int, burst_s: float) -> None:
        self._byte_s, self._message_s, self._burst_s = 1 / rate_bytes, 1 / rate_messages, burst_s
        self._due_s = 0.0

    def spend(self, count_bytes: int, messages: int, now_s: float) -> float:
        """Count what was heard -> seconds to wait before more is read."""
        cost_s = count_bytes * self._byte_s + messages * self._message_s
        self._due_s = max(self._due_s, now_s) + cost_s
        return max(0.0, self._due_s - now_s - self._burst_s)
