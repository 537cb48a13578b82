"""The conversation on the data channel `edits`: messages in, receipts out. Knows neither peers nor video.

Whatever a client sends is answered by a message or dropped by the rate limit; nothing here ends a session.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from gpu.errors import RelensError
from gpu.types import Edit, Reading
from server import protocol
from server.edits import Edits
from server.rate import TokenBucket
from server.wrong import in_words

log = logging.getLogger(__name__)

# a prompt of MAX_PROMPT_CHARS in which every character is a surrogate pair of \uXXXX escapes, and the rest
MAX_MESSAGE_BYTES = 12 * protocol.MAX_PROMPT_CHARS + 1_024
MAX_UNSENT = 64  # messages kept while the channel is not open yet, or full
LIMIT_NOTICE_S = 1.0  # one `rate-limited` a second says it all


class EditControl(Protocol):
    """What a client may steer. Each call takes less than 5 ms."""

    def read(self, prompt: str) -> Reading:
        """What the model takes a prompt for. Raises RelensError where there is none to ask."""
        ...

    def set_edit(self, edit: Edit) -> Reading:
        """Put an edit in force that was understood and stands by itself."""
        ...

    def runs(self) -> Edit | None:
        """The edit in force that this client did not ask for: that of a film's timeline."""
        ...

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def seek(self, at_s: float) -> None:
        """Raises RelensError where there is nothing to seek in."""
        ...


class EditChannel:
    """One client's conversation. Loop thread only."""

    def __init__(
        self,
        control: EditControl,
        send: Callable[[str | bytes], bool],
        bucket: TokenBucket,
        rejected: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`send` returns False when the channel is not open or its buffer is over its bound; `rejected` hears
        the code of each message that was dropped or answered by an error."""
        self._control = control
        self._send = send
        self._bucket = bucket
        self._rejected = rejected
        self._unsent: deque[protocol.ServerMessage] = deque(maxlen=MAX_UNSENT)
        self._binary = False  # the client's last message was MessagePack
        self._noticed_s = -LIMIT_NOTICE_S
        self.asked_s = time.monotonic()  # when the client last asked for something; a ping does not
        self._edits = Edits(lambda edit: control.set_edit(edit), control.read, control.runs)

    @property
    def applied(self) -> int:
        """The newest revision that left with a frame; -1: none."""
        return self._edits.applied

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def begin(self, edit: Edit) -> None:
        """The first edit, given before there was a channel; its receipt waits for the channel."""
        self.say(self._edits.take(edit))

    def on_message(self, data: str | bytes) -> None:
        """Handle one message of the client, of any content."""
        now_s = time.monotonic()
        if not self._bucket.take(now_s):
            self._rejected("rate-limited")
            if now_s - self._noticed_s >= LIMIT_NOTICE_S:
                self._noticed_s = now_s
                text = "too many messages: some were dropped; send fewer a second"
                self.say(protocol.Error(code="rate-limited", message=text))
            return
        self._binary = isinstance(data, bytes)
        if len(data) > MAX_MESSAGE_BYTES:
            self._refuse(
                "bad-message",
                f"the message has {len(data)} bytes or characters; at most {MAX_MESSAGE_BYTES} are taken",
            )
            return
        try:
            message = protocol.decode_client(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._refuse("bad-message", f"{in_words(error)}; see server/protocol.schema.json")
            return
        if not isinstance(message, protocol.Ping):
            self.asked_s = now_s
        self._handle(message)

    def say(self, message: protocol.ServerMessage) -> None:
        """Send, or keep until the channel takes it; of kept ones over the bound the oldest are forgotten."""
        self._unsent.append(message)
        self.flush()

    def say_now(self, message: protocol.ServerMessage) -> None:
        """Send if the channel takes it at once; for what is stale a second later."""
        if not self._unsent:
            self._send(protocol.encode_server(message, self._binary))

    def flush(self) -> None:
        while self._unsent and self._send(protocol.encode_server(self._unsent[0], self._binary)):
            self._unsent.popleft()

    def on_applied(self, revision: int, pts: int) -> None:
        """The first frame under `revision` left; `pts` unwrapped, 90 kHz."""
        if revision < 0:  # a timeline's: nobody asked for it here
            return
        self._edits.on_applied(revision)
        self.say(protocol.Applied(revision=revision, pts=pts & 0xFFFF_FFFF))

    def _handle(self, message: protocol.ClientMessage) -> None:
        match message:
            case protocol.EditMessage():
                self._edit(message)
            case protocol.Pause():
                self._control.pause()
            case protocol.Resume():
                self._control.resume()
            case protocol.Seek():
                try:
                    self._control.seek(message.at)
                except RelensError as error:
                    self._refuse("no-film", str(error))
            case protocol.Ping():
                self.say(protocol.Pong(t=message.t))

    def on_refused(self, revision: int, why: str) -> None:
        """The model could not put an edit in force that it had understood: the one before stays."""
        self._edits.on_refused(revision)
        self._refuse("edit-refused", why, revision)

    def _edit(self, message: protocol.EditMessage) -> None:
        if message.revision <= self._edits.revision:
            self._refuse(
                "stale-revision",
                f"revision {message.revision} is not newer than {self._edits.revision}; count up",
                message.revision,
            )
            return
        edit = Edit(
            revision=message.revision,
            prompt=message.prompt,
            strength=message.strength,
            transition_ms=message.transition_ms,
            seed=message.seed,
        )
        try:
            self.say(self._edits.take(edit))
        except RelensError as error:
            self._refuse("edit-refused", str(error), message.revision)

    def _refuse(self, code: str, message: str, revision: int | None = None) -> None:
        self._rejected(code)
        self.say(protocol.Error(code=code, message=message, revision=revision))
