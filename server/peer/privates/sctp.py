"""What an SCTP association holds of a browser that never completes a message: bounded."""

from __future__ import annotations

from typing import Any, cast

from aiortc import RTCPeerConnection
from aiortc.rtcsctptransport import DataChunk, InboundStream

MAX_STREAMS = 64  # our own page uses one
MAX_CHUNKS = 1024  # fragments waiting for others, and TSNs ahead of a missing one
MAX_AHEAD = 0xFFFF  # what a SACK can name beyond its cumulative TSN
GRACE_BYTES = 1 << 20  # beyond the window: for the fragment that is missing, or nothing could be freed again


def bound_sctp(pc: RTCPeerConnection) -> None:
    """To be called before anything is received. A chunk refused is not acknowledged: it may come again."""
    sctp = cast(Any, pc.sctp)
    if sctp is None:
        return
    receive, find = sctp._receive_data_chunk, sctp._get_inbound_stream
    streams: dict[int, InboundStream] = sctp._inbound_streams

    def has_room(chunk: DataChunk) -> bool:
        if sctp._last_received_tsn is None:
            return False
        ahead = (chunk.tsn - sctp._last_received_tsn) % 2**32
        if ahead == 0 or ahead >= 2**31 or chunk.tsn in sctp._sack_misordered:
            return True  # a copy of one that came: nothing is kept of it
        used = max(len(streams), len(sctp._data_channels))
        if ahead > MAX_AHEAD or (chunk.stream_id not in streams and used >= MAX_STREAMS):
            return False
        room, held = sctp._advertised_rwnd, sum(len(s.reassembly) for s in streams.values())
        if ahead == 1:
            return room + GRACE_BYTES >= len(chunk.user_data) and held < 2 * MAX_CHUNKS
        return room >= len(chunk.user_data) and max(held, len(sctp._sack_misordered)) < MAX_CHUNKS

    async def bounded(chunk: DataChunk) -> None:
        if has_room(chunk):
            await receive(chunk)
        elif sctp._last_received_tsn is not None:
            sctp._sack_needed = True  # tells what did arrive, and how little room there is

    def inbound_stream(stream_id: int) -> InboundStream:
        if stream_id in streams or len(streams) < MAX_STREAMS:
            return cast(InboundStream, find(stream_id))
        return InboundStream()  # named by a FORWARD TSN only: nothing to remember

    sctp._receive_data_chunk = bounded
    sctp._get_inbound_stream = inbound_stream
