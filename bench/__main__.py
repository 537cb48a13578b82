"""`python -m bench NAME`: runs one measurement, prints its table, then one JSON line; progress on stderr."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from typing import Any

from bench.error import BenchError

NAMES = {
    "latency": "glass to glass, what the server adds, against a plain aiortc echo",
    "loss": "the longest freeze at 5 %% loss and 40 ms jitter",
    "receive": "the jitter buffer alone on such a path, in virtual time",
    "edit": "how long after an instruction is sent its first frame leaves",
    "stages": "decode, edit and encode alone, per model and size",
    "sessions": "how many streams before the p95 doubles",
    "loop": "the event loop's delay under load",
    "soak": "an hour's frames and 200 sessions: what grows",
    "streams": "a stream's viewers and latency: ten viewers of one encode, RTMP to WHEP with frame ids",
    "streams-sync": "how far sound is from the picture at a viewer of an edited stream",
    "nano-report": "nano against its teachers on held-out clips: everything that must be shown of it",
    "nano-speed": "nano's time a frame, whole and graph by graph",
    "liveedit": "the full-size model: frames a second, memory, mask cache, with random weights",
    "film-edit": "relens edit against the bare model loop on the same frames",
    "film-journey": "a long film through the page in Chromium: upload broken off, preview, render, download",
    "film-preview": "from opening a film's preview, or seeking in it, to the first picture",
    "render-beside": "a live stream and a film's render on one server: what each loses",
    "gpu-media": "the NVIDIA GPU's media path: kernels, NVDEC, NVENC, bytes over the bus, memory",
    "wan-build": "the full-size model exported and built by TensorRT-RTX without a GPU: time, size, memory",
    "nano-sizes": "nano beside nano-plus at 1280x720: a contact sheet, and the time a frame",
}


def _module(name: str) -> Any:
    return importlib.import_module(f"bench.{name.replace('-', '_')}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    kinds = parser.add_subparsers(dest="name", required=True)
    chosen = next((word for word in sys.argv[1:] if word in NAMES), None)
    for name, what in NAMES.items():
        sub = kinds.add_parser(name, help=what, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        if name == chosen:  # the others may need what this machine lacks
            _module(name).arguments(sub)
    args = parser.parse_args()
    measurement = _module(args.name)
    try:
        asyncio.run(measurement.run(args))
    except BenchError as error:
        print(f"bench {args.name}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
