"""Parsers of what strangers send, each fed bytes. A target swallows documented errors; what it raises is a
finding. Shared by the hypothesis tests and `atheris_run.py`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import rtmp_targets
from aiortc.sdp import SessionDescription

from gpu.codec import DECODES, Decoder, open_decoder
from gpu.errors import FrameError
from gpu.nano.edits import COLOURS, EDIT_BY_NAME, EDITS, REGIONS
from gpu.nano.text import TextTower
from gpu.types import Codec, EncodedFrame, Frame
from server.config import ENV_PREFIX, KEYS, Config, load_config
from server.errors import ConfigError, ProtocolError
from server.peer.candidates import MAX_CANDIDATES, parse_candidate, parse_fragment
from server.peer.jitter import MAX_MISSING, MAX_PACKETS, NACKS_AT_ONCE, JitterBuffer
from server.peer.offer import Codecs
from server.peer.payload import PAYLOAD_MAX, payload_format
from server.peer.sdp import parse_offer
from server.protocol import ClientMessage, decode_client
from tests.foreign import encode

CODECS = DECODES


class Bytes:
    """Reads numbers and pieces off a byte string; zeros after its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, size: int) -> int:
        return int.from_bytes(self.piece(size), "big")

    def piece(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def rest(self) -> bytes:
        return self.piece(len(self._data))


def control_message(data: bytes) -> None:
    for received in (data, data.decode("utf-8", "replace")):
        try:
            message = decode_client(received)
        except msgspec.DecodeError:
            continue
        again = msgspec.convert(msgspec.to_builtins(message), ClientMessage)
        assert again == message or "nan" in repr(message)


def config_toml(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relens.toml"
        path.write_bytes(data)
        _config(lambda: load_config(str(path)))


def config_environment(data: bytes) -> None:
    source = Bytes(data)
    names = [*KEYS, "unheard_of", ""]
    name = names[source.number(1) % len(names)]
    text = source.rest().decode("utf-8", "surrogateescape")
    _config(lambda: load_config(environ={ENV_PREFIX + name.upper(): text}))
    _config(lambda: load_config(flags={name: text}))


def _config(load: Callable[[], Config]) -> None:
    try:
        config = load()
    except ConfigError:
        pass
    else:
        assert math.isfinite(config.idle_s)
        assert config.min_bitrate_bps <= config.max_bitrate_bps


def offer(data: bytes) -> None:
    """What passes the check must be readable by the stack behind it, which raises whatever it likes."""
    try:
        checked = parse_offer(data.decode("utf-8", "replace"), Codecs(CODECS, CODECS))
    except ProtocolError:
        return
    behind = SessionDescription.parse(checked.to_sdp())
    assert len(behind.media) == len([media for media in checked.media if media.used])
    for codec in (codec for agreed in checked.agreed.values() for codec in agreed):
        payload_format(codec.codec, codec.fmtp).starts_keyframe(data)
        assert all(f"{name}={value}".isprintable() for name, value in codec.parameters)


def fragment(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        _, lines = parse_fragment(text)
    except ProtocolError:
        lines = text.splitlines()
    else:
        assert len(lines) <= MAX_CANDIDATES
    for line in lines:
        parsed = parse_candidate(line)
        assert parsed is None or 0 < parsed[5] <= 65535


def payloads(data: bytes) -> None:
    """Any payloads are joined or refused; any unit that is cut comes back, in pieces that fit a datagram."""
    for payload_kind in map(payload_format, CODECS):
        source = Bytes(data)
        pieces: list[bytes] = []
        while source and len(pieces) < 64:
            pieces.append(source.piece(source.number(1)))
        for piece in pieces:
            payload_kind.starts_keyframe(piece)
        with suppress(FrameError):
            payload_kind.unpack(pieces)
        try:
            packed = payload_kind.pack(data)
        except FrameError:
            continue
        assert all(0 < len(payload) <= PAYLOAD_MAX for payload in packed)
        if payload_kind.codec not in ("h264", "hevc"):  # which have types of NAL unit that are packets
            again = payload_kind.unpack(packed)[0]
            assert payload_kind.pack(again) if payload_kind.codec == "av1" else again == data


def jitter(data: bytes) -> None:
    """Any packets at any times: bounds hold, frames leave in order, and every wait has an end."""
    source = Bytes(data)
    buffer = JitterBuffer(payload_format(CODECS[source.number(1) % len(CODECS)]))
    now, sequence, timestamp = 1.0, source.number(2), source.number(4)
    while source:
        kind = source.number(1)
        sequence = source.number(2) if kind & 1 else (sequence + 1) & 0xFFFF
        if kind & 2:
            timestamp = source.number(4) if kind & 4 else (timestamp + 3000) & 0xFFFFFFFF
        payload = source.piece(source.number(1) & 0x1F)
        if kind & 64:
            buffer.restart()
        buffer.add(sequence, timestamp, bool(kind & 8), payload, now, bool(kind & 16))
        _poll(buffer, now)
        now += (kind >> 5) / 20
    for _ in range(
        1000
    ):  # left alone it settles: it asks for a keyframe now and then, and waits for nothing else
        deadline = buffer.next_deadline()
        if deadline is None or buffer.waiting:
            break
        now = max(now, deadline) + 0.001
        _poll(buffer, now)
    else:
        raise AssertionError("the buffer never settles")


def _poll(buffer: JitterBuffer, now: float) -> None:
    out = buffer.poll(now)
    assert len(buffer._packets) <= MAX_PACKETS
    assert len(buffer._missing) <= MAX_MISSING
    assert len(out.nacks) <= NACKS_AT_ONCE
    assert all(0 <= number <= 0xFFFF for number in out.nacks)
    assert all(frame.data for frame in out.frames)


def access_units(data: bytes) -> None:
    """A real stream with bytes overwritten, cut and put in: pictures or FrameError; a keyframe repairs it."""
    source = Bytes(data)
    codec = CODECS[source.number(1) % len(CODECS)]
    units = _stream(codec)
    decoder = open_decoder(codec, (640, 480))
    try:
        _decode(decoder, units[0])
        for unit in units[1:]:
            _decode(decoder, _damage(unit, source))
        clean = EncodedFrame(units[0].data, units[-1].pts + 90_000, True, codec)
        assert decoder.decode(clean), "a keyframe did not repair the stream"
    finally:
        decoder.close()


def raw_access_unit(data: bytes) -> None:
    for codec in CODECS:
        decoder = open_decoder(codec, (640, 480))
        _decode(decoder, EncodedFrame(data, 0, True, codec))
        _decode(decoder, EncodedFrame(data[::-1], 3000, False, codec))
        decoder.close()


def _decode(decoder: Decoder, unit: EncodedFrame) -> None:
    try:
        frames = decoder.decode(unit)
    except FrameError:
        return
    for frame in frames:
        assert frame.width <= 640
        assert frame.height <= 480
        assert frame.y.shape == (2 * frame.u.shape[0], 2 * frame.u.shape[1])


def _damage(unit: EncodedFrame, source: Bytes) -> EncodedFrame:
    body = bytearray(unit.data)
    for _ in range(source.number(1) % 4):
        at = source.number(2) % (len(body) + 1)
        kind = source.number(1) % 3
        if kind == 0 and at < len(body):
            body[at] = source.number(1)
        elif kind == 1:
            del body[at:]
        else:
            body[at:at] = source.piece(source.number(1) % 16)
    return EncodedFrame(bytes(body), unit.pts, unit.is_keyframe, unit.codec)


@cache
def _stream(codec: Codec) -> tuple[EncodedFrame, ...]:
    grid = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    flat = np.full((24, 32), 128, np.uint8)
    return tuple(encode(codec, [Frame(grid * (i + 1), flat, flat, i * 3000) for i in range(6)]))


def prompt(data: bytes) -> None:
    read_any(data.decode("utf-8", "surrogateescape"))


_COLOURS_OF = {"recolour": ("found", "becomes"), "colour_pop": ("kept",), "backdrop": ("painted",)}


def read_any(text: str) -> None:
    """Any text gets a reading that keeps its promises."""
    reading = _tower().read(text)
    assert 0 <= reading.confidence <= 1
    assert all(0 <= part.amount <= 1 and part.name in EDIT_BY_NAME for part in reading.parts)
    assert all(part.region in REGIONS and set(part.colours) <= set(COLOURS) for part in reading.parts)
    assert all(len(part.colours) == len(_COLOURS_OF.get(part.name, ())) for part in reading.parts)
    assert len({(part.name, part.region, part.colours) for part in reading.parts}) == len(reading.parts)
    assert reading.understood or not reading.parts
    assert bool(reading.label) == reading.understood
    assert set(reading.nearest) <= {edit.label for edit in EDITS}


@cache
def _tower() -> TextTower:
    return TextTower.load()


def targets() -> Iterator[tuple[str, Callable[[bytes], None]]]:
    """Every target by name."""
    for target in (
        control_message, config_toml, config_environment, offer, fragment, payloads, jitter, access_units,
        raw_access_unit, prompt, *rtmp_targets.TARGETS,
    ):  # fmt: skip
        yield target.__name__, target
