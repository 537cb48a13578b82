"""The only place that touches what aiortc 1.16.0 and aioice 0.13.0 keep to themselves.

Everything is done per instance; nothing of theirs is changed for others in the same process. What is relied
on is held to the installed versions, name by name, by tests/server/peer/test_privates.py.
"""

from __future__ import annotations

from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import RtpPacket, pack_remb_fci, unpack_remb_fci, wrap_rtx

from server.peer.types import IceServer

from .ice import IcePath, check_ice_servers, ice_servers
from .rtp import ReceiverPort, SenderPort, name_codecs, name_opus
from .sctp import bound_sctp

__all__ = [
    "IcePath",
    "ReceiverPort",
    "RemoteBitrateEstimator",
    "RtpPacket",
    "SenderPort",
    "bound_sctp",
    "check_ice_servers",
    "dtls_of",
    "name_codecs",
    "name_opus",
    "open_connection",
    "pack_remb_fci",
    "unpack_remb_fci",
    "wrap_rtx",
]


def open_connection(servers: tuple[IceServer, ...]) -> RTCPeerConnection:
    """One transport for everything, and no STUN server that was not asked for."""
    return RTCPeerConnection(RTCConfiguration(ice_servers(servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


def dtls_of(pc: RTCPeerConnection) -> RTCDtlsTransport:
    """The transport of a connection that has video."""
    return pc.getTransceivers()[0].receiver.transport
