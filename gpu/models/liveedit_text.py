"""Instructions to what a network is conditioned on, encoded beside the stream and kept. Knows no pictures.

The text encoder takes long (seconds on a CPU), so it never runs on the thread that steps a stream: a live
edit takes force when its embedding is there, a file waits for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any, Protocol

from gpu.errors import ModelError, RelensError

KEPT = 16  # embeddings, the least recently asked for goes; 8 MiB each at full size
ENCODE_S = 300.0  # the longest a file waits: the largest encoder, read from a disk, on a CPU


class TextEncoder(Protocol):
    """What encodes (gpu/wan/text.py)."""

    def encode(self, prompt: str) -> Any:
        """[1, text_len, text_dim] float32, zero after the text's end. Raises ModelError, DeviceError."""
        ...


class Embeddings:
    """One model's. Any thread; one encoding at a time, each on a thread that keeps nobody from exiting."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._made: OrderedDict[str, Future[Any]] = OrderedDict()
        self._turn = threading.Lock()
        self._closed = False

    def ready(self, prompt: str, wait_s: float = 0.0) -> bool:
        """Whether `get` would not wait, now or within that time; begins the encoding. True also where it
        failed: `get` says why."""
        try:
            self._begin(prompt).exception(wait_s)
        except (NotYet, CancelledError):
            return False
        return True

    def get(self, prompt: str, wait_s: float = ENCODE_S) -> Any:
        """The embedding, waited for. Raises ModelError naming why there is none; what failed may be asked
        for again."""
        encoding = self._begin(prompt)
        try:
            return encoding.result(wait_s)
        except NotYet as error:
            raise ModelError(
                f"the instruction was not encoded within {wait_s:.0f} s: this machine is too busy for the "
                "text encoder; send it again"
            ) from error
        except RelensError as error:
            self._forget(prompt, encoding)
            raise ModelError(str(error)) from error
        except Exception as error:  # whatever a text encoder throws must not end the stream
            self._forget(prompt, encoding)
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
                threading.Thread(
                    target=self._encode, args=(prompt, encoding), name="relens-text", daemon=True
                ).start()
            self._made.move_to_end(prompt)
            while len(self._made) > KEPT:
                _, old = self._made.popitem(last=False)
                old.cancel()  # nobody asks for it any more, and one that waits for it asks again
            return encoding

    def _encode(self, prompt: str, encoding: Future[Any]) -> None:
        with self._turn:
            if not encoding.set_running_or_notify_cancel():
                return
            try:
                encoding.set_result(self._encoder.encode(prompt))
            except BaseException as error:  # for `get`, which says it to who asked
                encoding.set_exception(error)

    def _forget(self, prompt: str, encoding: Future[Any]) -> None:
        with self._lock:
            if self._made.get(prompt) is encoding:
                del self._made[prompt]
