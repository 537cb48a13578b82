"""The conversation without I/O: who may say what when, and what is answered."""

from __future__ import annotations

from typing import Any

import pytest

from server.errors import ProtocolError
from server.rtmp import messages
from server.rtmp.address import Address
from server.rtmp.amf0 import Value, encode
from server.rtmp.chunks import SET_CHUNK_SIZE, ChunkLimits, ChunkReader, ChunkWriter, Message
from server.rtmp.connection import MIN_WINDOW_BYTES, WINDOW_BYTES, Connection, Phase
from server.rtmp.events import Described, Ended, Event, Media, PlayAsked, PublishAsked
from server.rtmp.handshake import PART_BYTES
from server.rtmp.messages import Command, command, read_command
from tests.server.rtmp.rtmp_client import HELLO, metadata


class Talk:
    """Both ends of a conversation, after the handshake."""

    def __init__(self, connect: bool = True) -> None:
        self.connection = Connection()
        self._out, self._in = ChunkWriter(), ChunkReader(ChunkLimits())
        assert list(self.connection.push(HELLO + bytes(PART_BYTES))) == []
        assert len(self.connection.take()) == 1 + 2 * PART_BYTES
        if connect:
            self.say(command(0, "connect", 1, {"app": "live", "tcUrl": "rtmp://h/live", "flashVer": "tests"}))
            self.heard()

    def say(self, *said: Message) -> list[Event]:
        return list(self.connection.push(b"".join(self._out.write(3, message) for message in said)))

    def heard(self) -> list[Message]:
        return list(self._in.push(self.connection.take()))

    def answers(self) -> list[Command]:
        return [read_command(message) for message in self.heard() if message.kind == messages.COMMAND]

    def ask(self, name: str = "publish", stream: int = 1) -> list[Event]:
        return self.say(command(stream, name, 5, None, "cam?key=k", "live"))

    def publishing(self) -> Talk:
        assert self.ask() == [PublishAsked(Address("cam", "k"))]
        self.connection.accept()
        assert self.connection.phase is Phase.PUBLISHING
        self.heard()
        return self


def code_of(said: Command) -> Any:
    about = said.arguments[0]
    assert isinstance(about, dict)
    return about["code"]


def test_connect_is_answered_with_all_that_encoders_wait_for() -> None:
    talk = Talk(connect=False)
    talk.say(command(0, "connect", 1, {"app": "live?key=k", "flashVer": "FMLE/3.0"}))
    heard = talk.heard()
    assert [message.kind for message in heard] == [
        messages.WINDOW_SIZE, messages.PEER_BANDWIDTH, SET_CHUNK_SIZE, messages.COMMAND,
    ]  # fmt: skip
    result = read_command(heard[-1])
    assert (result.name, result.transaction, code_of(result)) == (
        "_result",
        1,
        "NetConnection.Connect.Success",
    )
    assert talk.connection.software == "FMLE/3.0"


@pytest.mark.parametrize("about", [{"app": "other"}, {}, None, {"app": 5.0}])
def test_another_application_is_rejected(about: Value) -> None:
    talk = Talk(connect=False)
    with pytest.raises(ProtocolError, match="no application") as refused:
        talk.say(command(0, "connect", 1, about))
    talk.connection.fail(str(refused.value))
    (answer,) = talk.answers()
    assert (answer.name, code_of(answer)) == ("_error", "NetConnection.Connect.Rejected")


def test_what_obs_says_before_it_publishes() -> None:
    talk = Talk()
    talk.say(
        command(0, "releaseStream", 2, None, "cam"),
        command(0, "FCPublish", 3, None, "cam"),
        command(0, "createStream", 4, None),
        command(0, "_checkbw", 5, None),
    )
    said = [(answer.name, answer.transaction, answer.arguments[:1]) for answer in talk.answers()]
    assert said[0] == ("_result", 2, [None])
    assert said[1][0] == "onFCPublish"
    assert said[2:] == [("_result", 4, [1.0]), ("_result", 5, [None])]
    assert talk.ask() == [PublishAsked(Address("cam", "k"))]
    talk.connection.accept()
    assert code_of(talk.answers()[0]) == "NetStream.Publish.Start"


def test_media_and_what_the_encoder_says_of_it() -> None:
    talk = Talk().publishing()
    assert talk.say(metadata()) == [Described("tests/1.0")]
    assert talk.say(Message(messages.DATA_AMF3, 0, 1, b"\x00" + metadata().payload)) == [
        Described("tests/1.0")
    ]
    obs = {"encoder": "obs-output module (libobs version 29.0.2)"}
    said = Message(messages.DATA, 0, 1, encode("@setDataFrame", "onMetaData", obs))
    assert talk.say(said) == [Described("OBS-Studio/29.0.2")]
    assert talk.say(Message(messages.VIDEO, 7, 1, b"v"), Message(messages.AUDIO, 9, 1, b"a")) == [
        Media("video", 7, b"v"),
        Media("audio", 9, b"a"),
    ]
    assert talk.say(Message(messages.VIDEO, 7, 2, b"v")) == [], "of another message stream"
    for odd in (encode("onMetaData"), encode("onMetaData", 5.0), encode("onTextData", {}), b"\x11", b""):
        assert talk.say(Message(messages.DATA, 0, 1, odd)) == []


@pytest.mark.parametrize("name", ["deleteStream", "closeStream", "FCUnpublish"])
def test_an_end_that_is_said(name: str) -> None:
    talk = Talk().publishing()
    about: list[Value] = [9.0] if name == "deleteStream" else []
    if name != "FCUnpublish":
        assert talk.say(command(9, name, 6, None, *about)) == [], "of another stream"
    about = [1.0] if name == "deleteStream" else []
    assert talk.say(command(1, name, 6, None, *about)) == [Ended()]
    assert talk.connection.phase is Phase.ENDED


def test_the_commands_of_amf3() -> None:
    talk = Talk(connect=False)
    payload = b"\x00" + encode("connect", 1.0, {"app": "live"})
    talk.say(Message(messages.COMMAND_AMF3, 0, 0, payload))
    assert talk.answers()[-1].name == "_result"


def test_publish_twice_is_refused_and_the_first_goes_on() -> None:
    talk = Talk().publishing()
    assert talk.ask(stream=2) == []
    assert code_of(talk.answers()[0]) == "NetStream.Publish.BadName"
    assert talk.ask("play", stream=2) == []
    assert code_of(talk.answers()[0]) == "NetStream.Play.Failed"
    assert talk.say(Message(messages.VIDEO, 0, 1, b"v")) == [Media("video", 0, b"v")]


def test_play_is_told_that_it_begins_and_ends() -> None:
    talk = Talk()
    assert talk.ask("play") == [PlayAsked(Address("cam", "k"))]
    talk.connection.accept()
    heard = talk.heard()
    assert heard[0].kind == messages.USER_CONTROL
    codes = [code_of(read_command(message)) for message in heard if message.kind == messages.COMMAND]
    assert codes == ["NetStream.Play.Reset", "NetStream.Play.Start"]
    wire = talk.connection.media(messages.VIDEO, 1 << 33, b"v" * 70_000)
    assert len(wire) == 70_000 + 12 + 1, "one chunk header more"
    talk.connection.finish("it is over")
    assert [code_of(answer) for answer in talk.answers()] == [
        "NetStream.Play.UnpublishNotify",
        "NetStream.Play.Stop",
    ]


def test_a_refusal_says_why() -> None:
    talk = Talk()
    talk.ask()
    talk.connection.refuse("NetStream.Publish.BadName", "somebody publishes already")
    (answer,) = talk.answers()
    about = answer.arguments[0]
    assert about == {
        "level": "error", "code": "NetStream.Publish.BadName", "description": "somebody publishes already",
    }  # fmt: skip
    talk.connection.fail("said once already")
    assert talk.answers() == []


def test_bytes_are_acknowledged_and_pings_answered() -> None:
    talk = Talk().publishing()
    talk.say(messages.window_size(1))  # oftener than that is no use
    talk.say(Message(messages.VIDEO, 0, 1, bytes(MIN_WINDOW_BYTES)))
    acknowledged = [message for message in talk.heard() if message.kind == messages.ACKNOWLEDGEMENT]
    assert len(acknowledged) == 1
    assert int.from_bytes(acknowledged[0].payload, "big") > MIN_WINDOW_BYTES
    talk.say(messages.window_size(WINDOW_BYTES), messages.user_control(messages.PING_REQUEST, 77))
    (pong,) = talk.heard()
    assert pong.payload == b"\x00\x07\x00\x00\x00\x4d"
    talk.say(messages.user_control(messages.STREAM_BEGIN, 1), Message(messages.USER_CONTROL, 0, 0, b"\0"))
    assert talk.heard() == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (command(1, "publish", 5, None, "cam"), "'publish' before connect"),
        (command(0, "createStream", 5, None), "before connect"),
        (Message(messages.VIDEO, 0, 1, b"v"), "media before connect"),
        (Message(messages.COMMAND, 0, 0, b""), "a command without a name"),
        (Message(messages.COMMAND, 0, 0, encode(5.0, 1.0)), "a command without a name"),
        (Message(messages.COMMAND, 0, 0, encode("connect", "one")), "without a transaction number"),
        (Message(messages.COMMAND, 0, 0, encode("connect", True)), "without a transaction number"),
        (Message(messages.WINDOW_SIZE, 0, 0, b"\0"), "of 1 bytes, not 4"),
    ],
)
def test_what_a_stranger_may_not_say(said: Message, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        Talk(connect=False).say(said)


def test_what_nobody_may_say() -> None:
    with pytest.raises(ProtocolError, match="second time"):
        Talk().say(command(0, "connect", 1, {"app": "live"}))
    with pytest.raises(ProtocolError, match="more than 8 streams"):
        Talk().say(*(command(0, "createStream", i, None) for i in range(9)))
    with pytest.raises(ProtocolError, match="names no stream"):
        Talk().say(command(1, "publish", 5, None))


def test_a_stranger_may_send_little_and_a_publisher_much() -> None:
    large = Message(messages.DATA, 0, 1, bytes(100_000))
    with pytest.raises(ProtocolError, match="a message of 100000 bytes"):
        Talk().say(large)
    Talk().publishing().say(Message(messages.VIDEO, 0, 1, bytes(1_000_000)))


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (b"\x16\x03\x01", "TLS on the port of plain RTMP"),
        (b"GET / HTTP/1.1", "HTTP on the port of RTMP"),
        (b"\x06abc", "RTMPE"),
        (b"SSH-2.0", "begins with byte 83"),
        (bytes(5), "begins with byte 0"),
    ],
)
def test_another_protocol_is_told_by_name(begin: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        list(Connection().push(begin))


def test_the_handshake_one_byte_at_a_time() -> None:
    connection = Connection()
    for byte in HELLO + bytes(PART_BYTES - 1):
        assert list(connection.push(bytes((byte,)))) == []
        assert connection.phase is Phase.HANDSHAKE
    list(connection.push(b"\0"))
    assert connection.phase is Phase.STRANGER
