"""Embeddings that were made, by text: a bounded number of bytes, the least recently asked for goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any


class EmbeddingCache:
    """Any thread. Keeps tensors as they are given; nobody writes into them."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Any] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes

    def get(self, text: str) -> Any | None:
        with self._lock:
            if text not in self._held:
                return None
            self._held.move_to_end(text)
            return self._held[text]

    def put(self, text: str, rows: Any) -> None:
        """Keep it; what is larger than the whole cache is not kept."""
        with self._lock:
            if text in self._held:
                self._bytes -= _size(self._held.pop(text))
            if _size(rows) > self._max_bytes:
                return
            self._held[text] = rows
            self._bytes += _size(rows)
            while self._bytes > self._max_bytes:
                self._bytes -= _size(self._held.popitem(last=False)[1])

    def clear(self) -> None:
        with self._lock:
            self._held.clear()
            self._bytes = 0


def _size(rows: Any) -> int:
    return int(rows.numel() * rows.element_size())
