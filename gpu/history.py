"""The edits that one client was given, one after the other: what "undo that" and "more" are said of.

Live sessions, streams and films all settle here what hangs on the edit in force; what comes out stands by
itself, so that a timeline of it gives the same again. Knows readings; no words, no pictures, no wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from gpu.changes import changed, is_source
from gpu.types import Edit, Reading

MOST_EDITS = 32  # as far back as one can go; then it is the source
Read = Callable[[str], Reading]


@dataclass(frozen=True, slots=True)
class Settled:
    """An edit that stands by itself, and what it was taken for; not understood, it is not to be kept."""

    edit: Edit
    reading: Reading
    asked: Reading  # of the words themselves


class EditHistory:
    """The edits in force one after the other, the newest last."""

    def __init__(self) -> None:
        self._edits: deque[Edit] = deque(maxlen=MOST_EDITS)
        self._undone: deque[Edit] = deque(maxlen=MOST_EDITS)  # by steps back, the newest last
        self._before_newest = _Past()
        self.has_unread = False  # some were kept before anybody could read them

    def settle(self, asked: Edit, read: Read) -> Settled:
        """What `asked` comes to, after what is in force. Forgets nothing: it may yet be refused."""
        reading = read(asked.prompt)
        if reading.steps_back:
            edit = self.before(asked)
            return Settled(edit, read(edit.prompt), reading)
        if reading.redoes:
            return self._redone(asked, reading, read)
        if not reading.hangs:
            return Settled(asked, reading, reading)
        running = self._edits[-1] if self._edits else Edit()
        return Settled(*changed(running, asked, reading, read), reading)

    def keep(self, settled: Settled) -> None:
        """It came into force."""
        past = _Past(tuple(self._edits), tuple(self._undone))
        if settled.asked.steps_back:
            self.step_back()
        elif settled.asked.redoes and self._undone:
            self._undone.pop()
        else:
            self._undone.clear()
        edit, newest = settled.edit, self._edits[-1] if self._edits else None
        if not settled.reading.is_read:
            self._keep_unread(edit)
        elif (
            not settled.asked.hangs
            or settled.asked.steps_back
            or newest is None
            or newest.strength == edit.strength
        ):
            self.add(edit)
        else:
            self._edits.append(edit)  # "less" can be undone, too
        self._before_newest = past

    def add(self, edit: Edit) -> None:
        """An edit came into force. The same words again, at another strength, are the same edit."""
        self._before_newest = _Past(tuple(self._edits), tuple(self._undone))
        if self._edits and self._edits[-1].prompt == edit.prompt:
            self._edits.pop()
        self._edits.append(edit)

    def before(self, asked: Edit) -> Edit:
        """What is to be in force when `asked` undoes the newest: the edit before it, or else the source.

        Revision and transition are those of `asked`."""
        if len(self._edits) < 2:
            return replace(asked, prompt="")
        return _asked_now(self._edits[-2], asked)

    def step_back(self) -> None:
        """The newest was undone."""
        if self._edits:
            self._undone.append(self._edits.pop())

    def drop(self, revision: int) -> None:
        """It was refused after all, and is as if it had not been kept; nothing where it is not the newest."""
        if self._edits and self._edits[-1].revision == revision:
            past = self._before_newest
            self._edits = deque(past.edits, maxlen=MOST_EDITS)
            self._undone = deque(past.undone, maxlen=MOST_EDITS)
            self._before_newest = _Past(past.edits[:-1], past.undone)

    def read_again(self, read: Read) -> Edit:
        """What is in force where edits were kept before anybody could read them."""
        edits, self._edits = list(self._edits), deque(maxlen=MOST_EDITS)
        self._undone.clear()
        self.has_unread = False
        for settled in settled_in_order(edits, read, self):
            if not settled.reading.understood and not settled.asked.hangs:
                self.add(settled.edit)
        return self._edits[-1] if self._edits else Edit()

    def _redone(self, asked: Edit, reading: Reading, read: Read) -> Settled:
        """What the last step back took; after "undo", which is the source, what was before that."""
        undone = self._undone[-1] if self._undone else None
        if undone is None and len(self._edits) > 1 and is_source(read(self._edits[-1].prompt)):
            undone = self._edits[-2]
        if undone is None:
            return Settled(asked, replace(reading, note=f"nothing was undone: {reading.note}"), reading)
        edit = _asked_now(undone, asked)
        return Settled(edit, read(edit.prompt), reading)

    def _keep_unread(self, edit: Edit) -> None:
        """The same words again may be "less" and "less"; at another strength it is a hand at the slider."""
        newest = self._edits[-1] if self._edits else None
        if newest is not None and newest.prompt == edit.prompt and newest.strength != edit.strength:
            self._edits.pop()
        self._edits.append(edit)
        self.has_unread = True


@dataclass(frozen=True, slots=True)
class _Past:
    """What a history was before its newest edit."""

    edits: tuple[Edit, ...] = ()
    undone: tuple[Edit, ...] = ()


def _asked_now(edit: Edit, asked: Edit) -> Edit:
    return replace(edit, revision=asked.revision, transition_ms=asked.transition_ms)


def settled_in_order(
    edits: Iterable[Edit], read: Read, history: EditHistory | None = None
) -> Iterator[Settled]:
    """Each edit of a timeline after those before it; what is not understood changes nothing."""
    history = history or EditHistory()
    for asked in edits:
        settled = history.settle(asked, read)
        if settled.reading.understood:
            history.keep(settled)
        yield settled
