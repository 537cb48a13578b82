"""A file's bytes by xet, the hub's own chunked storage: faster than HTTP, and from any offset.

hf_xet waits in Rust without a limit and deaf to Ctrl-C, so it is waited for in a thread; its group, not its
stream, can be ended from another one (both found with hf_xet 1.8 and a server that never answers).
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import Any

from gpu import threads
from gpu.checkpoints.needs import need

AHEAD = 16  # chunks that may wait to be written
END_S = 5.0  # for the thread to end once its group was


class XetSilent(Exception):
    """Nothing came for too long."""


def xet_bytes(xet_data: Any, size_bytes: int, start: int, silence_s: float) -> Generator[bytes, None, None]:
    """Bytes from `start` on, in order; they may stop before the end. `xet_data`: huggingface_hub's.

    Raises XetSilent, and whatever huggingface_hub and hf_xet raise. Close it to end it before its end."""
    utils, inner = need("huggingface_hub.utils"), need("huggingface_hub.utils._xet")
    headers = utils.build_hf_headers(library_name="relens")
    link = inner.refresh_xet_connection_info(file_data=xet_data, headers=headers)
    group = inner.get_xet_session().new_download_stream_group(
        endpoint=link.endpoint,
        token=link.access_token,
        token_expiry_unix_secs=link.expiration_unix_epoch,
        token_refresh_url=xet_data.refresh_route,
        token_refresh_headers=headers,
        custom_headers=inner.xet_headers_without_auth(headers),
    )
    info = need("hf_xet").XetFileInfo(xet_data.file_hash, size_bytes)
    came: queue.Queue[bytes | Exception | None] = queue.Queue(AHEAD)
    over = threading.Event()

    def put(item: bytes | Exception | None) -> None:
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                came.put(item, timeout=0.2)
                return

    def receive() -> None:
        try:
            for chunk in group.download_stream(info, start=start):
                put(bytes(chunk))
                if over.is_set():
                    return
            put(None)
        except Exception as exc:
            put(exc)

    thread = threading.Thread(target=receive, name="relens-download-xet", daemon=True)
    threads.start(thread)
    try:
        while True:
            try:
                item = came.get(timeout=silence_s)
            except queue.Empty:
                raise XetSilent(f"nothing came for {silence_s:.0f} s") from None
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        over.set()
        with contextlib.suppress(Exception):
            group.abort()
        thread.join(END_S)
