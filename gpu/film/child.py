"""The child process that reads one film: `python -m gpu.film.child`, spoken to over its standard input.

It is given the open file, never a path, and serves its pictures or its sound. It demuxes, decodes and shapes,
writes frames into shared memory and says which; it goes on only as far as slots are free, or the socket takes
sound. It ends with its parent, or when the socket closes.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys

from gpu.film import sandbox
from gpu.film.wire import MOST_ORDER, Gone, Say, Wire


def main() -> None:
    """The last argument: bytes of memory."""
    wire = Wire(socket.socket(fileno=os.dup(0)))
    held = sandbox.enter(int(sys.argv[-1]))
    from gpu.film.pcm_service import PcmService
    from gpu.film.service import Service  # loads libav: behind the first barriers, before the last

    held += sandbox.seal()
    with contextlib.suppress(Gone):
        wire.send(Say.READY, body=json.dumps(held).encode())
        order = wire.receive(None, MOST_ORDER)
        if order.kind == Say.LISTEN:
            PcmService(wire).serve(order)
        else:
            Service(wire).serve(order)
    os._exit(0)  # no destructors: libav's threads end with the process


if __name__ == "__main__":
    main()
