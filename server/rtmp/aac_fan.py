"""One stream's Opus made AAC once, however many players hear it. Knows no message."""

from __future__ import annotations

from collections.abc import Callable

from server.peer.types import EncodedAudio
from server.sound.opus_to_aac import OpusToAac
from server.sound.types import AacFrame

Listener = Callable[[AacFrame], None]


class AacFan:
    """Loop thread only. The transcoder is there from the first packet on, while anybody listens."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._aac: OpusToAac | None = None
        self._newest = -1

    @property
    def config(self) -> bytes:
        """AudioSpecificConfig; b"" before there is a frame."""
        return self._aac.config if self._aac is not None else b""

    def join(self, listener: Listener) -> Callable[[], None]:
        """`listener` hears every frame from now on; what is returned ends that."""
        self._listeners.append(listener)

        def leave() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
            if not self._listeners and self._aac is not None:
                self._aac.close()
                self._aac = None

        return leave

    def push(self, packet: EncodedAudio) -> None:
        """A packet of the stream, as each of its viewers is given it: the first one counts."""
        if not self._listeners or (self._aac is not None and packet.pts <= self._newest):
            return
        if self._aac is None:
            self._aac = OpusToAac(self._tell)
        self._newest = packet.pts
        self._aac.push(packet)

    def _tell(self, frame: AacFrame) -> None:
        for listener in list(self._listeners):
            listener(frame)
