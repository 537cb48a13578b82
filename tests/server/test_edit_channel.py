"""The conversation without a peer: any bytes in, only documented answers out."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.errors import ModelError
from gpu.types import Change, Edit, Reading
from server import protocol
from server.edit_channel import MAX_MESSAGE_BYTES, MAX_UNSENT, EditChannel
from server.rate import TokenBucket


class Control:
    def __init__(self) -> None:
        self.edits: list[Edit] = []
        self.calls: list[str] = []

    def read(self, prompt: str) -> Reading:
        if prompt == "gibberish":
            return Reading((), 0.0, understood=False)
        if prompt == "undo that":
            return Reading((), 1.0, label="the edit before", steps_back=True)
        if prompt == "less":
            return Reading((), 0.0, understood=False, change=Change(0.5))
        return Reading((), 1.0, label=prompt)

    def runs(self) -> Edit | None:
        return None

    def set_edit(self, edit: Edit) -> Reading:
        if edit.prompt == "refuse":
            raise ModelError("not this one")
        self.edits.append(edit)
        return self.read(edit.prompt)

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


class Line:
    """A data channel that can be shut."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.open = True

    def send(self, data: str | bytes) -> bool:
        if self.open:
            self.sent.append(data)
        return self.open


def talk(burst: int = 10_000) -> tuple[EditChannel, Control, Line, list[str]]:
    control, line, rejected = Control(), Line(), []
    bucket = TokenBucket(0.000_001, burst, 0.0)
    return EditChannel(control, line.send, bucket, rejected.append), control, line, rejected


def edit(revision: int, prompt: str = "night", **more: object) -> str:
    return json.dumps({"type": "edit", "revision": revision, "prompt": prompt, **more})


def said(line: Line) -> list[dict[str, object]]:
    return [json.loads(text) for text in line.sent if isinstance(text, str)]


def test_edit_reaches_the_control_whole() -> None:
    channel, control, line, _ = talk()
    channel.on_message(edit(7, "rain", strength=0.5, transitionMs=20, seed=9))
    assert control.edits == [Edit(revision=7, prompt="rain", strength=0.5, transition_ms=20, seed=9)]
    assert said(line)[0]["type"] == "received"
    assert said(line)[0]["label"] == "rain"


def test_undo_that_is_the_edit_before_with_all_it_was_given() -> None:
    channel, control, line, _ = talk()
    channel.begin(Edit(0, "rain", strength=0.5, seed=4))
    for revision, prompt in enumerate(("night", "gibberish", "undo that"), 1):
        channel.on_message(edit(revision, prompt, transitionMs=90))
    assert control.edits[-1] == Edit(3, "rain", strength=0.5, transition_ms=90, seed=4)
    assert [message["prompt"] for message in said(line)] == ["rain", "night", "gibberish", "rain"]
    assert said(line)[-1]["label"] == "rain"
    assert said(line)[-1]["revision"] == 3


def test_before_the_first_edit_there_is_the_source() -> None:
    channel, control, line, _ = talk()
    for revision, prompt in enumerate(("undo that", "night", "undo that", "undo that")):
        channel.on_message(edit(revision, prompt))
    assert [one.prompt for one in control.edits] == ["", "night", "", ""]
    assert [message["prompt"] for message in said(line)] == ["", "night", "", ""]


def test_the_source_is_an_edit_one_can_go_back_from() -> None:
    channel, control, _, _ = talk()
    for revision, prompt in enumerate(("rain", "night", "", "undo that", "undo that", "undo that")):
        channel.on_message(edit(revision, prompt))
    assert [one.prompt for one in control.edits] == ["rain", "night", "", "night", "rain", ""]


def test_an_undo_that_is_refused_can_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    channel, control, line, _ = talk()
    for revision, prompt in enumerate(("rain", "night", "sepia")):
        channel.on_message(edit(revision, prompt))
    takes = control.set_edit

    def refuses(asked: Edit) -> Reading:
        if asked.prompt == "night":
            raise ModelError("not now")
        return takes(asked)

    with monkeypatch.context() as once:
        once.setattr(control, "set_edit", refuses)
        channel.on_message(edit(3, "undo that"))
    assert said(line)[-1]["code"] == "edit-refused"
    channel.on_message(edit(4, "undo that"))
    assert control.edits[-1].prompt == "night"


def test_revisions_only_grow() -> None:
    channel, control, line, rejected = talk()
    for revision in (3, 3, 2, 4):
        channel.on_message(edit(revision))
    assert [e.revision for e in control.edits] == [3, 4]
    assert [(m.get("code"), m["revision"]) for m in said(line)] == [
        (None, 3), ("stale-revision", 3), ("stale-revision", 2), (None, 4),
    ]  # fmt: skip
    assert rejected == ["stale-revision"] * 2


def test_refusal_of_the_model_is_answered_with_its_revision() -> None:
    channel, _, line, _ = talk()
    channel.on_message(edit(1, "refuse"))
    assert said(line) == [{"type": "error", "code": "edit-refused", "message": "not this one", "revision": 1}]


@pytest.mark.parametrize(
    "data",
    [
        "", "{", "[]", "1", "null", b"", b"\xc1", '{"type":"edit"}',
        '{"type":"edit","revision":-1,"prompt":""}',
        '{"type":"edit","revision":1.5,"prompt":""}', '{"type":"edit","revision":1,"prompt":"","strength":2}',
        '{"type":"ping","t":"x"}', '{"type":"received","revision":1}', "[" * 20_000,
        "x" * (MAX_MESSAGE_BYTES + 1),
        b"\x81" * 20_000, '{"type":"edit","revision":1,"prompt":"\ud800"}',
    ],
    ids=lambda data: repr(data[:24]),
)  # fmt: skip
def test_bad_messages_are_answered_with_what_was_wrong(data: str | bytes) -> None:
    channel, control, line, rejected = talk()
    channel.on_message(data)
    assert rejected == ["bad-message"]
    message = line.sent[0]
    answer = msgspec.msgpack.decode(message) if isinstance(message, bytes) else json.loads(message)
    assert answer["code"] == "bad-message"
    assert len(answer["message"]) < 300
    assert not control.edits


def test_over_the_rate_messages_are_dropped_and_one_notice_said() -> None:
    channel, control, line, rejected = talk(burst=5)
    for i in range(1_000):
        channel.on_message(edit(i))
    assert len(control.edits) == 5
    assert rejected == ["rate-limited"] * 995
    assert [m["code"] for m in said(line) if m["type"] == "error"] == ["rate-limited"]


def test_receipts_wait_for_the_channel_and_stats_do_not() -> None:
    channel, _, line, _ = talk()
    line.open = False
    channel.begin(Edit(revision=0, prompt="first"))
    channel.say_now(protocol.Pong(t=1.0))
    for i in range(2 * MAX_UNSENT):
        channel.on_applied(i, 2**32 + i)
    line.open = True
    channel.flush()
    assert len(said(line)) == MAX_UNSENT
    assert said(line)[-1] == {"type": "applied", "revision": 2 * MAX_UNSENT - 1, "pts": 2 * MAX_UNSENT - 1}
    assert not channel.has_unsent


def test_pause_and_resume_and_ping() -> None:
    channel, control, line, _ = talk()
    for text in ('{"type":"pause"}', '{"type":"resume"}', '{"type":"ping","t":1.5}'):
        channel.on_message(text)
    assert control.calls == ["pause", "resume"]
    assert said(line) == [{"type": "pong", "t": 1.5}]


@given(st.one_of(st.text(), st.binary(), st.text().map(lambda t: edit(1, t)), st.binary().map(
    lambda b: msgspec.msgpack.encode({"type": "edit", "revision": 1, "prompt": b}))))  # fmt: skip
def test_anything_is_answered_once_and_nothing_raises(data: str | bytes) -> None:
    channel, _, line, _ = talk()
    channel.on_message(data)
    assert len(line.sent) <= 1
    for message in line.sent:
        decode = msgspec.msgpack.decode if isinstance(message, bytes) else msgspec.json.decode
        decode(message, type=protocol.ServerMessage)
