"""What of a stream's facts is for whom."""

from __future__ import annotations

from typing import Any

import msgspec

from server.protocol import Latency, Received
from server.streams.sight import Sight, seen
from server.streams.types import PublisherFacts, StreamEdit, StreamFacts, TargetFacts

PUBLISHER = PublisherFacts(
    kind="rtmp", codec="h264", audio="aac", software="OBS", address="192.0.2.7", age_s=1.0, fps=30.0,
    bitrate_bps=1,
)  # fmt: skip
FACTS = StreamFacts(
    name="live",
    state="live",
    edit=StreamEdit(revision=3, applied=3, received=Received(revision=3, prompt="a secret")),
    publisher=PUBLISHER,
    viewers=2,
    age_s=3.0,
    width=96,
    height=64,
    fps_out=30.0,
    bitrate_out_bps=1,
    latency=Latency(p50_ms=1.0, p95_ms=2.0),
    targets=(TargetFacts(name="a platform", host="platform.example", state="pushing"),),
    model="nano",
    device="CPU",
    degraded="slowly",
)  # fmt: skip


def shown(sight: Sight) -> dict[str, Any]:
    return dict(msgspec.json.decode(msgspec.json.encode(seen(FACTS, sight))))


def test_strangers_hear_of_name_and_state_and_that_a_key_is_needed() -> None:
    told = {name: value for name, value in shown("stranger").items() if value}
    edit = {"revision": 0, "applied": -1, "received": None}
    nothing = {"edit": edit, "latency": {"p50Ms": 0.0, "p95Ms": 0.0}}
    assert told == {"name": "live", "state": "live", "needsKey": True, **nothing}


def test_viewers_do_not_hear_where_it_comes_from_and_goes_to() -> None:
    everything = shown("operator")
    assert shown("publisher") == {**everything, "publisher": {**everything["publisher"], "address": ""}}
    assert shown("viewer") == {**shown("publisher"), "targets": []}
    assert everything["targets"]
    assert everything["publisher"]["address"]
    assert not everything["needsKey"]
