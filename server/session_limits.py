"""When a session ends by itself. Knows its times and the settings, neither peer nor pictures."""

from __future__ import annotations

from dataclasses import dataclass

from server.config import Config
from server.session_parts import SessionState

PAUSED = "paused"  # a page that hears it comes back when its visitor does, not by itself
OTHERS_WAIT = "another visitor wanted this place, and nothing was done here for a while: go on for a new one"


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """All in seconds."""

    age_s: float
    silent_s: float  # since the last picture came
    stood_s: float  # since something moved or was asked for: it is paused, or its film stands


def due(state: SessionState, times: SessionTimes, config: Config) -> tuple[str, str] | None:
    """The code and the message of the end that is due; None: it may go on."""
    if state is SessionState.CONNECTING and times.age_s > config.connect_timeout_s + 1:
        return "peer-lost", f"not connected within {config.connect_timeout_s:g} s"
    if state is SessionState.OPEN and times.silent_s > config.idle_s:
        return "idle", f"no video came for {config.idle_s:g} s: connect again to go on"
    if config.paused_s and times.stood_s > config.paused_s:
        return (
            PAUSED,
            f"it was paused, and nothing was done, for {config.paused_s:g} s: connect again to go on",
        )
    if config.max_session_s and times.age_s > config.max_session_s:
        return "max-time", f"a session lasts at most {config.max_session_s:g} s here: connect again"
    return None
