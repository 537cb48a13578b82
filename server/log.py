"""Sets up logging once, for the command. Libraries are kept to warnings."""

from __future__ import annotations

import logging
import sys

NOISY = ("aiortc", "aioice", "aiohttp.access", "libav", "asyncio", "alembic", "onnx_ir", "onnxscript")

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class OneLine(logging.Formatter):
    """What peers and platforms say is in messages too: it begins no line, and colours no terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).translate(_CONTROL)


def setup_logging(level: str) -> None:
    """`level` is one of debug, info, warning, error; "debug" opens the libraries' logs too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
