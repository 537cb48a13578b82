"""Says of every claimed segment that it is still worked at. A database that is away stops nobody."""

from __future__ import annotations

import logging
import threading

from gpu import threads
from server.kept.errors import KeptError
from server.kept.kept import Kept
from server.kept.types import Segment

log = logging.getLogger(__name__)

BEAT_S = 5.0
LEASE_S = 30.0  # silence after which another may have a segment: several beats and a database's restart
_JOIN_S = 15.0


class Heart:
    def __init__(self, kept: Kept, beat_s: float = BEAT_S) -> None:
        self._kept, self._beat_s = kept, beat_s
        self._lock = threading.Lock()
        self._held: dict[tuple[str, int], tuple[Segment, threading.Event]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relens-heart", daemon=True)

    def start(self) -> None:
        threads.start(self._thread)

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:  # it was started
            self._thread.join(_JOIN_S)

    def hold(self, segment: Segment) -> threading.Event:
        """From here on; what is set when it is not its worker's any more."""
        lost = threading.Event()
        with self._lock:
            self._held[segment.job_id, segment.index] = (segment, lost)
        return lost

    def let_go(self, segment: Segment) -> None:
        with self._lock:
            self._held.pop((segment.job_id, segment.index), None)

    def _run(self) -> None:
        while not self._stop.wait(self._beat_s):
            with self._lock:
                held = list(self._held.values())
            for segment, lost in held:
                try:
                    if not self._kept.segments.heartbeat(segment):
                        lost.set()
                except KeptError as error:
                    log.warning("the database does not hear that segments are worked at: %s", error)
                    break
                except Exception:  # a defect of ours must not end all that is held
                    log.exception("a heartbeat failed")
