"""Orders video packets into frames, says what to ask for again and when to give up. Time is an argument.

A frame leaves as soon as it is complete and everything before it has left. A missing packet holds the ones
behind it for at most `hole_timeout`; then everything up to the next keyframe is dropped and a keyframe asked
for, because what refers to a lost picture is worse than a short stop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gpu.errors import FrameError
from gpu.types import EncodedFrame

from .payload import PayloadFormat

MAX_PACKETS = 2048  # ~ 2.4 MB: over a second at 16 Mbit/s
MAX_MISSING = 512
MAX_JUMP = 3000  # a step in sequence numbers longer than this is a new stream
NACKS_AT_ONCE = 128
HOLES_AT_ONCE = 8
PLEAD_S = 0.08  # a hole this old: a keyframe is asked for, to be here when the hole is given up
NACK_LEAST_S, NACK_MOST_S = 0.02, 0.04
REORDER_MOST_S = 0.02  # how late a packet may be before it is asked for, where some overtake


@dataclass(slots=True)
class _Packet:
    timestamp: int
    marker: bool
    payload: bytes
    arrived: float


@dataclass(slots=True)
class _Missing:
    noticed: float
    next_ask: float


@dataclass(slots=True)
class Output:
    """What to do now."""

    frames: list[EncodedFrame] = field(default_factory=list)
    nacks: list[int] = field(default_factory=list)  # 16-bit sequence numbers
    pli: bool = False


class TimestampUnwrapper:
    """32-bit RTP timestamps to integers that do not wrap; the low 32 bits stay what they were."""

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrap(self, timestamp: int) -> int:
        if self._last is None:
            self._last = timestamp
        else:
            self._last += ((timestamp - self._last + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        return self._last


class JitterBuffer:
    """One video stream. Call `add` for each packet and `poll` after it and at `next_deadline`."""

    def __init__(
        self, payloads: PayloadFormat, hole_timeout: float = 0.15, keyframe_interval: float = 0.25
    ) -> None:
        self._format = payloads
        self._hole_timeout = hole_timeout
        self._keyframe_interval = keyframe_interval
        self._packets: dict[int, _Packet] = {}  # by unwrapped sequence number
        self._missing: dict[int, _Missing] = {}
        self._ask_at = math.inf  # no missing packet is to be asked for before
        self._starts: set[int] = set()  # packets here that surely begin a keyframe
        self._next: int | None = None  # the next one to leave
        self._highest = 0
        self._released = False  # something has left: older packets are late
        self._waiting = True  # for a keyframe
        self._asked_pli: float | None = None
        self._pleaded: float | None = None  # when a keyframe was last asked for beside an open hole
        self._pli_now = False
        self._rtt = 0.05
        self._reorder = 0.0
        self._timestamps = TimestampUnwrapper()
        self.noticed = self.abandoned = self.frames = self.dropped = self.duplicates = 0

    @property
    def waiting(self) -> bool:
        """Nothing is handed up before the next keyframe."""
        return self._waiting

    def set_rtt(self, rtt: float) -> None:
        self._rtt = rtt

    def add(
        self, sequence: int, timestamp: int, marker: bool, payload: bytes, now: float, again: bool = False
    ) -> None:
        """One packet of 16-bit `sequence`; `again` where it came as a retransmission."""
        if self._next is None:
            self._next = self._highest = sequence + 65536
            number = self._next
        else:
            number = self._highest + ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000
            if abs(number - self._highest) > MAX_JUMP:
                self._restart(number)
        if number < self._next and not self._released and self._next - number < 64:
            self._gap(number + 1, self._next, now)
            self._next = number
        if number < self._next or number in self._packets:
            self.duplicates += 1
            return
        if number > self._highest:
            self._gap(self._highest + 1, number, now)
            self._highest = number
        late = self._missing.pop(number, None)
        if late is not None and not again:  # overtaken, not lost
            self._reorder = max(self._reorder, min(now - late.noticed, REORDER_MOST_S))
        self._packets[number] = _Packet(timestamp, marker, payload, now)
        if self._format.starts_keyframe(payload):
            self._starts.add(number)
        if len(self._packets) > MAX_PACKETS:
            self._lose()
            self._drop_before(self._highest + 1)

    def restart(self, payloads: PayloadFormat | None = None) -> None:
        """Another stream begins, perhaps of another format: nothing here belongs to it."""
        self._format = payloads or self._format
        self._restart(0)
        self._next = None

    def is_newest(self, sequence: int) -> bool:
        """The packet comes after all that came."""
        return self._next is None or (sequence - self._highest - 1) & 0xFFFF < 0x8000

    def _restart(self, number: int) -> None:
        self._packets.clear()
        self._missing.clear()
        self._starts.clear()
        self._next = self._highest = number
        self._released = False
        self._lose()

    def _gap(self, start: int, end: int, now: float) -> None:
        for number in range(max(start, end - MAX_MISSING), end):
            if number not in self._packets and len(self._missing) < MAX_MISSING:
                self._missing[number] = _Missing(now, now + self._reorder)
                self._ask_at = min(self._ask_at, now + self._reorder)
                self.noticed += 1
        self._reorder *= 0.99

    def poll(self, now: float) -> Output:
        out = Output()
        self._release(out)
        for turn in range(HOLES_AT_ONCE):
            hole = self._hole_since()
            if hole is None or now < hole + self._hole_timeout:
                break
            if turn == HOLES_AT_ONCE - 1:  # more holes than stream
                self._lose()
                self._drop_before(self._highest + 1)
                break
            self._give_up()
            self._release(out)
        self._plead(out, now)
        if self._ask_at <= now:
            self._ask(out, now)
        if self._waiting and self._next is not None:
            due = self._asked_pli is None or now >= self._asked_pli + self._keyframe_interval
            if due and (self._pli_now or self._asked_pli is not None or self._released):
                self._asked_pli = now
                self._pli_now = False
                out.pli = True
        return out

    def _plead(self, out: Output, now: float) -> None:
        """Beside an old hole: go on from a whole keyframe behind it, else ask for one in good time."""
        hole = self._hole_since()
        if hole is None or now < hole + PLEAD_S:
            return
        start = self._whole_keyframe()
        if start is not None:
            self._lose()
            self._drop_before(start)
            self._pli_now = False
            self._release(out)
        elif not self._waiting and (self._pleaded is None or now >= self._pleaded + self._keyframe_interval):
            self._pleaded = now
            out.pli = True

    def _whole_keyframe(self) -> int | None:
        """Where the newest keyframe starts of which every packet is here; only the last two are looked at."""
        for start in sorted(self._starts)[-2:][::-1]:
            number, timestamp = start, self._packets[start].timestamp
            while (packet := self._packets.get(number)) is not None and packet.timestamp == timestamp:
                if packet.marker:
                    return start
                number += 1
        return None

    def _ask(self, out: Output, now: float) -> None:
        self._ask_at = math.inf
        for number in sorted(self._missing):
            asked = self._missing[number]
            if asked.next_ask <= now and len(out.nacks) < NACKS_AT_ONCE:
                out.nacks.append(number & 0xFFFF)
                # half a round trip apart: an answer may be lost too, and there is time for few
                asked.next_ask = now + min(max(self._rtt / 2, NACK_LEAST_S), NACK_MOST_S)
            self._ask_at = min(self._ask_at, max(asked.next_ask, now + 0.001))

    def next_deadline(self) -> float | None:
        """When to poll again though no packet comes; None: not before one does."""
        times = [self._ask_at] if self._missing else []
        hole = self._hole_since()
        if hole is not None:
            times.append(hole + self._hole_timeout)
            if not self._waiting:  # while one waits for a keyframe the next packet brings the news
                pleaded = -math.inf if self._pleaded is None else self._pleaded
                times.append(max(hole + PLEAD_S, pleaded + self._keyframe_interval))
        if self._waiting and self._asked_pli is not None:
            times.append(self._asked_pli + self._keyframe_interval)
        return min(times, default=None)

    def _hole_since(self) -> float | None:
        """When the first missing packet in front of one that is here was noticed."""
        if self._next is None or len(self._packets) == self._highest - self._next + 1:
            return None
        number = self._next
        while number in self._packets:
            number += 1
        if number > self._highest:
            return None
        hole = self._missing.get(number)
        if hole is not None:
            return hole.noticed
        while number not in self._packets:  # not tracked: too many were missing at once
            number += 1
        return self._packets[number].arrived

    def _release(self, out: Output) -> None:
        while self._next is not None:
            if self._waiting:
                self._skip_to_keyframe()
            first = self._packets.get(self._next)
            if first is None:
                return
            if not first.payload:  # padding between frames
                self._take(self._next, self._next + 1)
                continue
            end = self._next
            while (packet := self._packets.get(end)) is not None and packet.timestamp == first.timestamp:
                end += 1
                if packet.marker:
                    break
            else:
                if packet is None:
                    return  # more of this frame is to come
            self._frame(out, self._take(self._next, end))

    def _take(self, start: int, end: int) -> list[_Packet]:
        self._next, self._released = end, True
        self._starts.difference_update(range(start, end))
        return [self._packets.pop(number) for number in range(start, end)]

    def _frame(self, out: Output, packets: list[_Packet]) -> None:
        pts = self._timestamps.unwrap(packets[0].timestamp)
        try:
            data, key = self._format.unpack([p.payload for p in packets if p.payload])
        except FrameError:
            self.dropped += 1
            self._lose()
            return
        if self._waiting and not key:
            self.dropped += 1
            return
        self._waiting = False
        self._asked_pli = None
        self._pli_now = False
        self.frames += 1
        arrived = max(p.arrived for p in packets)
        out.frames.append(EncodedFrame(data, pts, key, self._format.codec, int(arrived * 1e9)))

    def _lose(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._asked_pli = None
        self._pli_now = True

    def _skip_to_keyframe(self) -> None:
        assert self._next is not None
        first = min(self._starts, default=self._next)
        if first > self._next:
            self._drop_before(first)

    def _drop_before(self, number: int) -> None:
        self.dropped += len({p.timestamp for n, p in self._packets.items() if n < number})
        self._packets = {n: p for n, p in self._packets.items() if n >= number}
        self.abandoned += sum(n < number for n in self._missing)
        self._missing = {n: m for n, m in self._missing.items() if n >= number}
        self._starts = {n for n in self._starts if n >= number}
        self._next, self._released = number, True

    def _give_up(self) -> None:
        """The hole in front will not be filled: go on behind it, from the next keyframe on."""
        assert self._next is not None
        number = self._next
        while number in self._packets:
            number += 1
        while number not in self._packets and number <= self._highest:
            number += 1
        self._lose()
        self._drop_before(number)
