"""The parent's end of a child that reads a film: asked and heard in bounded time, ended once.

Knows what readers of pictures and of sound have in common; not what they ask for.
"""

from __future__ import annotations

import weakref

from gpu.film.spawn import take
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Gone, Late, Message, Say


class ChildReader:
    """One film, one child process."""

    def __init__(self, limits: FilmLimits, what: str) -> None:
        """`what` is read, for messages: "the film". Raises FilmError."""
        self._limits, self._what = limits, what
        self._generation = 0
        self._closed = False
        self._child = take(limits.memory_bytes)
        self._end = weakref.finalize(self, self._child.end)

    @property
    def pid(self) -> int:
        """The child's."""
        return self._child.pid

    @property
    def barriers(self) -> tuple[str, ...]:
        """What the child is held by, in words."""
        return self._child.barriers

    def close(self) -> None:
        """Any thread. Idempotent."""
        self._closed = True
        self._end()

    def _send(
        self, kind: Say, *, flags: int = 0, a: int = 0, b: int = 0, body: bytes = b"", fd: int | None = None
    ) -> None:
        self._check_open()
        try:
            self._child.wire.send(
                kind, flags=flags, a=a, b=b, body=body, fd=fd, timeout_s=self._limits.stall_s
            )
        except Gone:
            return  # what it said last is still to be received
        except Late as error:
            raise self._fail(f"{self._what} is not read any more: open the film again") from error

    def _hear(self, timeout_s: float, most_bytes: int) -> Message:
        """What the child says next. Raises Late; FilmError where it ended or refuses to go on."""
        self._check_open()
        try:
            message = self._child.wire.receive(timeout_s, most_bytes)
        except Gone as error:
            raise self._fail(self._child.lost(self._what)) from error
        if message.kind == Say.REFUSED:
            raise self._refusal(message)
        return message

    def _refusal(self, message: Message) -> FilmError:
        return self._fail(message.body.decode("utf-8", "replace"))

    def _fail(self, text: str) -> FilmError:
        """The child is of no more use."""
        self._closed = True
        self._end()
        return FilmError(text)

    def _check_open(self) -> None:
        if self._closed:
            raise FilmError("the film was closed: open it again")
