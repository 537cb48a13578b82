"""The child process that reads one film: `python -m gpu.film.child`, spoken to over its standard input.

It is given the open file, never a path. It demuxes, decodes and shapes, writes frames into shared memory and
says which; it goes on only as far as slots are free. It ends with its parent, or when the socket closes.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys

from gpu.film import sandbox
from gpu.film.wire import Gone, Say, Wire


def main() -> None:
    """The last argument: bytes of memory."""
    wire = Wire(socket.socket(fileno=os.dup(0)))
    held = sandbox.enter(int(sys.argv[-1]))
    from gpu.film.service import Service  # loads libav: behind the first barriers, before the last

    held += sandbox.seal()
    with contextlib.suppress(Gone):
        wire.send(Say.READY, body=json.dumps(held).encode())
        Service(wire).serve()
    os._exit(0)  # no destructors: libav's threads end with the process


if __name__ == "__main__":
    main()
