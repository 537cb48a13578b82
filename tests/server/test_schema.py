"""The generated schema is current and the messages round-trip, as JSON and as MessagePack."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from server import protocol, schema

SERVER_MESSAGES = [
    protocol.Received(
        revision=1,
        label="x",
        parts=[
            protocol.Part(name="n", amount=0.5),
            protocol.Part(name="m", amount=1.0, region="person", colours=["red", "blue"]),
        ],
        nearest=["a"],
        left_out=["b"],
    ),
    protocol.Applied(revision=1, pts=2**32 - 1),
    protocol.Degraded(level=1, message="busy"),
    protocol.Error(code="x", message="y", revision=None),
    protocol.Pong(t=1.5),
]
CLIENT_MESSAGES = [
    protocol.EditMessage(revision=2**53 - 1, prompt="é" * 2_000, strength=0.0),
    protocol.Pause(),
    protocol.Resume(),
    protocol.Ping(t=0.1),
]


def test_schema_is_what_the_structs_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert schema.main(["--check"]) == 0
    monkeypatch.setattr(schema, "SCHEMA_PATH", tmp_path / "schema.json")
    assert schema.main(["--check"]) == 1
    assert schema.main([]) == 0
    assert schema.main(["--check"]) == 0


def test_schema_has_both_unions_and_all_their_messages() -> None:
    defs = schema.protocol_schema()["$defs"]
    named = {
        option["$ref"].rsplit("/", 1)[1]
        for u in ("ClientMessage", "ServerMessage")
        for option in defs[u]["anyOf"]
    }
    assert named <= set(defs)
    assert {"EditMessage", "Received", "Applied", "Stats", "Error"} <= named
    assert "transitionMs" in defs["EditMessage"]["properties"]


@pytest.mark.parametrize("message", CLIENT_MESSAGES, ids=lambda m: type(m).__name__)
def test_client_messages_round_trip(message: protocol.ClientMessage) -> None:
    assert protocol.decode_client(msgspec.json.encode(message).decode()) == message
    assert protocol.decode_client(msgspec.msgpack.encode(message)) == message


@pytest.mark.parametrize("message", SERVER_MESSAGES, ids=lambda m: type(m).__name__)
def test_server_messages_round_trip(message: protocol.ServerMessage) -> None:
    text, packed = protocol.encode_server(message), protocol.encode_server(message, binary=True)
    assert msgspec.json.decode(text, type=protocol.ServerMessage) == message
    assert msgspec.msgpack.decode(packed, type=protocol.ServerMessage) == message  # type: ignore[arg-type]
