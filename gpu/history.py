"""The edits that one client was given, one after the other: what "undo that" and "more" are said of.

Live sessions, streams and films all settle here what hangs on the edit in force; what comes out stands by
itself, so that a timeline of it gives the same again. Knows readings; no words, no pictures, no wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from gpu.changes import changed
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
        self._before_newest: tuple[Edit, ...] = ()  # what there was before the newest was kept

    def settle(self, asked: Edit, read: Read) -> Settled:
        """What `asked` comes to, after what is in force. Forgets nothing: it may yet be refused."""
        reading = read(asked.prompt)
        if reading.steps_back:
            edit = self.before(asked)
            return Settled(edit, read(edit.prompt), reading)
        if reading.change is None:
            return Settled(asked, reading, reading)
        running = self._edits[-1] if self._edits else Edit()
        return Settled(*changed(running, asked, reading, read), reading)

    def keep(self, settled: Settled) -> None:
        """It came into force."""
        before = tuple(self._edits)
        if settled.asked.steps_back:
            self.step_back()
        edit, newest = settled.edit, self._edits[-1] if self._edits else None
        if settled.asked.change is None or newest is None or newest.strength == edit.strength:
            self.add(edit)
        else:
            self._edits.append(edit)  # "less" can be undone, too
        self._before_newest = before

    def add(self, edit: Edit) -> None:
        """An edit came into force. The same words again, at another strength, are the same edit."""
        self._before_newest = tuple(self._edits)
        if self._edits and self._edits[-1].prompt == edit.prompt:
            self._edits.pop()
        self._edits.append(edit)

    def before(self, asked: Edit) -> Edit:
        """What is to be in force when `asked` undoes the newest: the edit before it, or else the source.

        Revision and transition are those of `asked`."""
        if len(self._edits) < 2:
            return replace(asked, prompt="")
        return replace(self._edits[-2], revision=asked.revision, transition_ms=asked.transition_ms)

    def step_back(self) -> None:
        """The newest was undone."""
        if self._edits:
            self._edits.pop()

    def drop(self, revision: int) -> None:
        """It was refused after all, and is as if it had not been kept; nothing where it is not the newest."""
        if self._edits and self._edits[-1].revision == revision:
            self._edits = deque(self._before_newest, maxlen=MOST_EDITS)
            self._before_newest = self._before_newest[:-1]

    def read_again(self, read: Read) -> Edit:
        """What is in force where edits were kept before anybody could read them."""
        edits, self._edits = list(self._edits), deque(maxlen=MOST_EDITS)
        for settled in settled_in_order(edits, read, self):
            if not settled.reading.understood and not settled.asked.hangs:
                self.add(settled.edit)
        return self._edits[-1] if self._edits else Edit()


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
