"""The server's side of one RTMP conversation, without I/O: bytes in, events out, and what is to be sent.

Knows commands and who may say them when; not which streams there are, nor keys, sockets or time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum

from server.errors import ProtocolError
from server.rtmp import messages
from server.rtmp.address import Address, check_app, read_address
from server.rtmp.amf0 import Value
from server.rtmp.chunks import CONTROL_STREAM, ChunkLimits, ChunkReader, ChunkWriter, Message
from server.rtmp.events import Described, Ended, Event, Media, PlayAsked, PublishAsked
from server.rtmp.handshake import Handshake
from server.rtmp.messages import Command

WINDOW_BYTES = 2_500_000  # between acknowledgements; what servers have always asked for
MIN_WINDOW_BYTES = 64 * 1024  # a peer that wants them oftener gets them no oftener
CHUNK_BYTES = 60_000  # of what we send
STRANGER = ChunkLimits(message_bytes=64 * 1024, chunk_streams=16, held_bytes=128 * 1024)
MAX_STREAMS = 8  # that one connection may create
_COMMANDS, _MEDIA = 3, 6  # chunk streams we write on
_MAX_SOFTWARE_CHARS = 80


_OBS = re.compile(r"libobs version ([\w.+-]{1,30})", re.ASCII)


class Phase(Enum):
    """ASKING: the event that asks is out, and not yet answered."""

    HANDSHAKE = "handshake"
    STRANGER = "before connect"
    CONNECTED = "connected"
    ASKING = "asking"
    PUBLISHING = "publishing"
    PLAYING = "playing"
    ENDED = "ended"


class Connection:
    """`push` what comes in, send what `take` gives after each event and each push."""

    def __init__(self, limits: ChunkLimits | None = None) -> None:
        """`limits`: of who publishes; before that STRANGER holds."""
        self._limits = limits or ChunkLimits()
        self._handshake = Handshake()
        self._reader = ChunkReader(STRANGER)
        self._writer = ChunkWriter()
        self._out = bytearray()
        self._app = self._tc_url = ""
        self._streams = 0
        self._stream = 0  # the message stream that publishes or plays
        self._wants_play = False
        self._received = self._acknowledged = 0
        self._window = WINDOW_BYTES
        self.software = ""
        self.heard = 0  # messages
        self.phase = Phase.HANDSHAKE

    def push(self, data: bytes) -> Iterator[Event]:
        """Run it to its end before the next push. Raises ProtocolError: `fail`, send, hang up."""
        self._received += len(data)
        if self.phase is Phase.HANDSHAKE:
            self._out += self._handshake.push(data)
            if not self._handshake.done:
                return
            self.phase = Phase.STRANGER
            data = self._handshake.rest
        for message in self._reader.push(data):
            self.heard += 1
            event = self._hear(message)
            if event is not None:
                yield event
        if self._received - self._acknowledged >= self._window:
            self._acknowledged = self._received
            self._say(messages.acknowledgement(self._received))

    def take(self) -> bytes:
        """What is to be sent now."""
        out = bytes(self._out)
        self._out.clear()
        return out

    # answers

    def accept(self) -> None:
        """What was asked for begins."""
        if self._wants_play:
            self.phase = Phase.PLAYING
            self._say(messages.user_control(messages.STREAM_BEGIN, self._stream))
            self._status("status", "NetStream.Play.Reset", "The player starts anew.")
            self._status("status", "NetStream.Play.Start", "The edited stream plays.")
            self._say(messages.data(self._stream, "|RtmpSampleAccess", True, True))
            return
        self._reader.limits = self._limits
        self.phase = Phase.PUBLISHING
        self._status("status", "NetStream.Publish.Start", "The stream is published.")

    def refuse(self, code: str, description: str) -> None:
        """What was asked for does not begin; `code` as in "NetStream.Publish.BadName". Hang up afterwards."""
        self.phase = Phase.ENDED
        self._status("error", code, description)

    def fail(self, description: str) -> None:
        """Tell the peer why it is hung up on, in the form its phase understands."""
        if self.phase in (Phase.HANDSHAKE, Phase.ENDED):
            return
        if self.phase is Phase.STRANGER:
            about = {"level": "error", "code": "NetConnection.Connect.Rejected", "description": description}
            self._say(messages.command(0, "_error", 1, None, about))
        else:
            playing = self._wants_play or self.phase is Phase.PLAYING
            self._status(
                "error", f"NetStream.{'Play.Failed' if playing else 'Publish.Rejected'}", description
            )
        self.phase = Phase.ENDED

    def finish(self, description: str) -> None:
        """The stream that plays is over."""
        self._say(messages.user_control(messages.STREAM_EOF, self._stream))
        self._status("status", "NetStream.Play.UnpublishNotify", description)
        self._status("status", "NetStream.Play.Stop", description)
        self.phase = Phase.ENDED

    def media(self, kind: int, time_ms: int, payload: bytes) -> bytes:
        """One message for a player, to be sent at once: it does not wait in `take`."""
        return self._writer.write(_MEDIA, Message(kind, time_ms, self._stream, payload))

    # what the peer says

    def _hear(self, message: Message) -> Event | None:
        kind = message.kind
        if kind in (messages.VIDEO, messages.AUDIO):
            return self._hear_media(message)
        if kind in (messages.COMMAND, messages.COMMAND_AMF3):
            return self._hear_command(message)
        if kind in (messages.DATA, messages.DATA_AMF3):
            return self._hear_data(message)
        if kind == messages.WINDOW_SIZE:
            self._window = max(messages.read_number(message), MIN_WINDOW_BYTES)
        elif kind == messages.USER_CONTROL:
            ping = messages.read_ping(message)
            if ping is not None:
                self._say(messages.user_control(messages.PING_RESPONSE, ping))
        return None

    def _hear_media(self, message: Message) -> Media | None:
        if self.phase is Phase.STRANGER:
            raise ProtocolError("media before connect and publish")
        if self.phase is Phase.PUBLISHING and message.stream == self._stream:
            kind = messages.VIDEO
            return Media("video" if message.kind == kind else "audio", message.timestamp, message.payload)
        return None

    def _hear_data(self, message: Message) -> Described | None:
        if self.phase is not Phase.PUBLISHING:
            return None
        try:
            values = messages.read_data(message)
        except ProtocolError:  # nothing hangs on what an encoder says of itself
            return None
        if len(values) < 2 or values[0] != "onMetaData" or not isinstance(values[1], Mapping):
            return None
        encoder = values[1].get("encoder")
        return Described(_software(encoder) if isinstance(encoder, str) else "")

    def _hear_command(self, message: Message) -> Event | None:
        said = messages.read_command(message)
        if said.name == "connect":
            self._connect(said)
        elif self.phase is Phase.STRANGER:
            raise ProtocolError(f"{said.name[:40]!r} before connect")
        elif said.name == "createStream":
            self._create_stream(said)
        elif said.name in ("publish", "play"):
            return self._ask(said, message.stream)
        elif said.name in ("deleteStream", "closeStream", "FCUnpublish"):
            return self._leave(said, message.stream)
        elif said.name == "FCPublish":
            about = {"code": "NetStream.Publish.Start", "description": said.text(0)[:200]}
            self._say(messages.command(0, "onFCPublish", 0, None, about))
        elif said.name in ("releaseStream", "_checkbw", "getStreamLength") and said.transaction:
            self._answer(said, 0.0 if said.name == "getStreamLength" else None)
        return None  # others are said by encoders that do not wait for an answer

    def _connect(self, said: Command) -> None:
        if self.phase is not Phase.STRANGER:
            raise ProtocolError("connect for the second time")
        about = said.about if isinstance(said.about, Mapping) else {}
        self._app, self._tc_url = (
            value if isinstance(value, str) else "" for value in (about.get("app"), about.get("tcUrl"))
        )
        check_app(self._app, self._tc_url)
        flash = about.get("flashVer")
        self.software = _software(flash) if isinstance(flash, str) else ""
        self._say(messages.window_size(WINDOW_BYTES))
        self._say(messages.peer_bandwidth(WINDOW_BYTES))
        self._out += self._writer.set_chunk_size(CHUNK_BYTES)
        # As servers say that are not Adobe's.
        ours: dict[str, Value] = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}
        state: dict[str, Value] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "Connected.",
            "objectEncoding": 0.0,
        }
        self._say(messages.command(0, "_result", said.transaction, ours, state))
        self.phase = Phase.CONNECTED

    def _create_stream(self, said: Command) -> None:
        self._streams += 1
        if self._streams > MAX_STREAMS:
            raise ProtocolError(f"more than {MAX_STREAMS} streams on one connection")
        self._answer(said, float(self._streams))

    def _ask(self, said: Command, stream: int) -> Event | None:
        if self.phase is not Phase.CONNECTED:  # what was begun first goes on
            code = "NetStream.Publish.BadName" if said.name == "publish" else "NetStream.Play.Failed"
            description = f"this connection is {self.phase.value} already: open another one"
            self._say(messages.status(stream, "error", code, description))
            return None
        self._stream, self._wants_play = stream, said.name == "play"
        address: Address = read_address(self._app, self._tc_url, said.text(0))
        self.phase = Phase.ASKING
        return PlayAsked(address) if self._wants_play else PublishAsked(address)

    def _leave(self, said: Command, stream: int) -> Ended | None:
        if self.phase not in (Phase.PUBLISHING, Phase.PLAYING):
            return None
        if said.name == "deleteStream":
            stream = int(number) if isinstance(number := (said.arguments or [0.0])[0], float) else 0
        if said.name != "FCUnpublish" and stream != self._stream:
            return None
        self.phase = Phase.ENDED
        return Ended()

    def _answer(self, said: Command, value: float | None) -> None:
        self._say(messages.command(0, "_result", said.transaction, None, value))

    def _status(self, level: str, code: str, description: str) -> None:
        self._say(messages.status(self._stream, level, code, description))

    def _say(self, message: Message) -> None:
        control = message.kind not in (messages.COMMAND, messages.DATA)
        self._out += self._writer.write(CONTROL_STREAM if control else _COMMANDS, message)


def _software(said: str) -> str:
    """What an encoder calls itself, as far as it can be shown; OBS by its own name."""
    obs = _OBS.search(said)
    shown = "".join(char for char in said[:_MAX_SOFTWARE_CHARS] if char.isprintable())
    return f"OBS-Studio/{obs[1]}" if obs else shown
