"""Instructions to what a network is conditioned on, encoded beside the stream and kept. Knows no pictures.

The text encoder takes long (seconds on a CPU), so it never runs on the thread that steps a stream: a live
edit takes force when its embedding is there, a file waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, wait
from typing import Any, Protocol

from gpu import threads
from gpu.errors import ModelError, RelensError

KEPT = 16  # embeddings, the least recently asked for goes; 8 MiB each at full size
ENCODE_S = 300.0  # the longest a file waits: the largest encoder, read from a disk, on a CPU
_ASK_AGAIN_S = 1.0  # who waits stays among those that are asked for


class TextEncoder(Protocol):
    """What encodes (gpu/wan/text.py)."""

    def encode(self, prompt: str) -> Any:
        """[1, text_len, text_dim] float32, zero after the text's end. Raises ModelError, DeviceError."""
        ...


class Embeddings:
    """One model's. Any thread; one encoding at a time, on a thread that keeps nobody from exiting.

    What was asked for last is encoded first: a stream asks again at each of its steps, so that instructions
    which were typed over meanwhile come after the one that is waited for."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._made: OrderedDict[str, Future[Any]] = OrderedDict()  # those asked for last at the end
        self._encoding = False  # the thread is there
        self._closed = False

    def ready(self, prompt: str, wait_s: float = 0.0) -> bool:
        """Whether `get` would not wait, now or within that time; begins the encoding. True also where it
        failed: `get` says why."""
        return _told(self._begin(prompt), wait_s)

    def get(self, prompt: str, wait_s: float = ENCODE_S) -> Any:
        """The embedding, waited for. Raises ModelError naming why there is none; what failed may be asked
        for again."""
        end = time.monotonic() + wait_s
        while not _told(encoding := self._begin(prompt), min(_ASK_AGAIN_S, end - time.monotonic())):
            if time.monotonic() >= end:
                raise ModelError(
                    f"the instruction was not encoded within {wait_s:.0f} s: this machine is too busy for "
                    "the text encoder; send it again"
                )
        error = encoding.exception()
        if error is None:
            return encoding.result()
        self._forget(prompt, encoding)
        if isinstance(error, RelensError):
            raise ModelError(str(error)) from error
        # whatever a text encoder throws must not end the stream
        raise ModelError(f"the instruction could not be encoded ({error!r}): send it again") from error

    def close(self) -> None:
        """Take no more; what runs is left to end by itself. Idempotent."""
        with self._lock:
            self._closed = True
            for encoding in self._made.values():
                encoding.cancel()
            self._made.clear()

    def _begin(self, prompt: str) -> Future[Any]:
        with self._lock:
            if self._closed:
                raise ModelError("this model is closed: open another session")
            encoding = self._made.get(prompt)
            if encoding is None:
                encoding = self._made[prompt] = Future()
                if not self._encoding:
                    self._encoding = True
                    threads.start(threading.Thread(target=self._encode, name="relens-text", daemon=True))
            self._made.move_to_end(prompt)
            while len(self._made) > KEPT:
                _, old = self._made.popitem(last=False)
                old.cancel()  # nobody asks for it any more; who waits for it asks again
            return encoding

    def _encode(self) -> None:
        while (found := self._next()) is not None:
            prompt, encoding = found
            try:
                encoding.set_result(self._encoder.encode(prompt))
            except BaseException as error:  # for `get`, which says it to who asked
                encoding.set_exception(error)

    def _next(self) -> tuple[str, Future[Any]] | None:
        """What waits and was asked for last, now running; None: the thread ends."""
        with self._lock:
            for prompt, encoding in reversed(self._made.items()):
                if not encoding.done() and encoding.set_running_or_notify_cancel():
                    return prompt, encoding
            self._encoding = False
            return None

    def _forget(self, prompt: str, encoding: Future[Any]) -> None:
        with self._lock:
            if self._made.get(prompt) is encoding:
                del self._made[prompt]


def _told(encoding: Future[Any], wait_s: float) -> bool:
    """Whether it came to an end within that time, and not only because so many others were asked for."""
    wait((encoding,), max(0.0, wait_s))
    return encoding.done() and not encoding.cancelled()
