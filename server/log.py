"""Sets up logging once, for the command. Libraries are kept to warnings."""

from __future__ import annotations

import logging
import sys

NOISY = ("aiortc", "aioice", "aiohttp.access", "libav", "asyncio", "alembic", "onnx_ir", "onnxscript")


def setup_logging(level: str) -> None:
    """`level` is one of debug, info, warning, error; "debug" opens the libraries' logs too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
