"""Every private of aiortc and aioice that server/peer/privates relies on is there and behaves so.

When this fails after an upgrade, read what changed there before touching the pins.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from importlib.metadata import version
from pathlib import Path

import aioice
import aioice.ice
import aiortc
import pytest
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    rtcdtlstransport,
    rtcicetransport,
    rtcrtpreceiver,
    rtcrtpsender,
    rtcsctptransport,
    rtp,
)
from aiortc.rate import RemoteBitrateEstimator

PEER = Path(__file__).parents[3] / "server" / "peer"


def test_versions() -> None:
    assert version("aiortc") == "1.16.0" == aiortc.__version__
    assert version("aioice") == "0.13.0"


SIGNATURES = [
    (rtcrtpreceiver.RTCRtpReceiver._handle_rtp_packet, ["self", "packet", "arrival_time_ms"], True),
    (rtcrtpreceiver.RTCRtpReceiver.receive, ["self", "parameters"], True),
    (rtcrtpreceiver.RTCRtpReceiver._run_rtcp, ["self"], True),
    (rtcrtpreceiver.RTCRtpReceiver._send_rtcp, ["self", "packet"], True),
    (rtcrtpreceiver.RTCRtpReceiver._send_rtcp_nack, ["self", "media_ssrc", "lost"], True),
    (rtcrtpreceiver.RTCRtpReceiver._send_rtcp_pli, ["self", "media_ssrc"], True),
    (rtcrtpreceiver.StreamStatistics.__init__, ["self", "clockrate"], False),
    (rtcrtpreceiver.StreamStatistics.add, ["self", "packet"], False),
    (rtcrtpsender.RTCRtpSender._run_rtp, ["self", "codec"], True),
    (rtcrtpsender.RTCRtpSender._handle_rtcp_packet, ["self", "packet"], True),
    (rtcrtpsender.RTCRtpSender._send_rtcp, ["self", "packets"], True),
    (rtcrtpreceiver.RTCRtpReceiver._handle_rtcp_packet, ["self", "packet"], True),
    (rtcdtlstransport.RTCDtlsTransport._recv_next, ["self"], True),
    (rtcdtlstransport.RTCDtlsTransport._send_rtp, ["self", "data"], True),
    (rtcdtlstransport.RTCDtlsTransport._register_rtp_receiver, ["self", "receiver", "parameters"], False),
    (rtcdtlstransport.RtpRouter.route_rtp, ["self", "packet"], False),
    (rtcicetransport.RTCIceTransport._monitor, ["self"], True),
    (rtcicetransport.RTCIceTransport._RTCIceTransport__setState, ["self", "state"], False),
    (rtcicetransport.RTCIceTransport.stop, ["self"], True),
    (rtcicetransport.connection_kwargs, ["servers"], False),
    (aioice.Connection.data_received, ["self", "data", "component"], False),
    (aioice.Connection.query_consent, ["self"], True),
    (aioice.Connection.add_remote_candidate, ["self", "remote_candidate"], True),
    (aioice.Connection.connect, ["self"], True),
    (aioice.Connection.close, ["self"], True),
    (aioice.Connection.send, ["self", "data"], True),
    (aioice.ice.StunProtocol.datagram_received, ["self", "data", "addr"], False),
    (RemoteBitrateEstimator.add, ["self", "arrival_time_ms", "abs_send_time", "payload_size", "ssrc"], False),
    (rtcsctptransport.RTCSctpTransport._receive_data_chunk, ["self", "chunk"], True),
    (rtcsctptransport.RTCSctpTransport._get_inbound_stream, ["self", "stream_id"], False),
    (rtp.wrap_rtx, ["packet", "payload_type", "sequence_number", "ssrc"], False),
    (rtp.pack_remb_fci, ["bitrate", "ssrcs"], False),
    (rtp.unpack_remb_fci, ["data"], False),
]


@pytest.mark.parametrize(
    ("function", "names", "is_async"), SIGNATURES, ids=lambda x: getattr(x, "__qualname__", "")
)
def test_signature(function, names, is_async) -> None:
    assert list(inspect.signature(function).parameters) == names
    assert inspect.iscoroutinefunction(function) == is_async


def body(function) -> str:
    return re.sub(r"\s+", " ", inspect.getsource(function))


BEHAVIOUR = [
    # what is assigned on an instance is what they call
    (rtcrtpsender.RTCRtpSender.send, "asyncio.ensure_future(self._run_rtp(parameters.codecs[0]))"),
    (
        rtcrtpsender.RTCRtpSender.stop,
        "await asyncio.gather(self.__rtp_exited.wait(), self.__rtcp_exited.wait())",
    ),
    (rtcrtpsender.RTCRtpSender.stop, "self.__rtp_started.wait(), self.__rtcp_started.wait()"),
    (rtcrtpsender.RTCRtpSender._run_rtcp, "rtp_timestamp=self.__rtp_timestamp"),
    (rtcrtpsender.RTCRtpSender._run_rtcp, "ntp_timestamp=self.__ntp_timestamp"),
    (rtcrtpsender.RTCRtpSender._run_rtcp, "self.__lsr_time = time.time()"),
    (rtcrtpsender.RTCRtpSender._run_rtcp, "await self._send_rtcp(packets)"),
    (rtcrtpsender.RTCRtpSender._handle_rtcp_packet, "if self.__lsr == report.lsr and report.dlsr:"),
    (rtcrtpreceiver.RTCRtpReceiver.stop, "if self.__started:"),
    (rtcrtpreceiver.RTCRtpReceiver.stop, "self.__rtcp_task.cancel()"),
    (rtcrtpreceiver.RTCRtpReceiver._RTCRtpReceiver__stop_decoder, "if self.__decoder_thread:"),
    (rtcrtpreceiver.RTCRtpReceiver._run_rtcp, "for ssrc, stream in self.__remote_streams.items():"),
    (rtcdtlstransport.RTCDtlsTransport._handle_rtp_data, "self._rtp_router.route_rtp(packet)"),
    (
        rtcdtlstransport.RTCDtlsTransport._handle_rtp_data,
        "await receiver._handle_rtp_packet(packet, arrival_time_ms=",
    ),
    (rtcdtlstransport.RTCDtlsTransport._handle_rtcp_data, "await recipient._handle_rtcp_packet(packet)"),
    (rtcdtlstransport.RTCDtlsTransport._RTCDtlsTransport__run, "await self._recv_next()"),
    (rtcdtlstransport.RTCDtlsTransport._recv_next, "data = await self.transport._recv()"),
    (rtcdtlstransport.RTCDtlsTransport._send_rtp, "await self.transport._send(data)"),
    (rtcdtlstransport.RTCDtlsTransport._write_ssl, "await self.transport._send(data)"),
    (rtcicetransport.RTCIceTransport._monitor, "await self._connection.get_event()"),
    (
        rtcicetransport.RTCIceTransport.stop,
        "await self._connection.close() if self.__monitor_task is not None:",
    ),
    (rtcicetransport.RTCIceGatherer.getLocalParameters, "usernameFragment=self._connection.local_username"),
    (rtcicetransport.RTCIceGatherer.getLocalCandidates, "self._connection.local_candidates"),
    (rtcsctptransport.RTCSctpTransport._receive_chunk, "await self._receive_data_chunk(chunk)"),
    (rtcsctptransport.RTCSctpTransport._handle_data, "if self._sack_needed: await self._send_sack()"),
    (
        rtcsctptransport.RTCSctpTransport._receive_data_chunk,
        "if self._mark_received(chunk.tsn): return # find stream inbound_stream = self._get_inbound_stream(",
    ),
    (
        rtcsctptransport.RTCSctpTransport._receive_forward_tsn_chunk,
        "inbound_stream = self._get_inbound_stream(stream_id)",
    ),
    (RTCPeerConnection.close, "await transceiver.receiver.transport.transport.stop()"),
    (
        aioice.ice.StunProtocol.datagram_received,
        "self.receiver.data_received(data, self.local_candidate.component)",
    ),
    (aioice.Connection.connect, "asyncio.create_task(self.query_consent())"),
    (aioice.Connection.close, "self._closing = True"),
]


@pytest.mark.parametrize(("function", "text"), BEHAVIOUR, ids=lambda x: getattr(x, "__qualname__", "")[-40:])
def test_they_go_through_what_we_replace(function, text) -> None:
    assert text in body(function)


SENDER = ("mid", "rtp_header_extensions_map", "rtp_started", "rtp_exited", "rtt")
SENDER += ("lsr", "lsr_time", "ntp_timestamp", "rtp_timestamp", "octet_count", "packet_count")
RECEIVER = ("started", "rtcp_task", "remote_streams", "rtcp_ssrc")
CONNECTION = ("_check_list", "_protocols", "_nominated", "_closing", "local_username", "local_password")
SCTP = ("_advertised_rwnd", "_inbound_streams", "_data_channels", "_last_received_tsn")
SCTP += ("_sack_misordered", "_sack_needed")
CONNECTION += ("remote_username", "remote_password", "remote_is_lite", "ice_controlling")


async def test_attributes() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        transceiver = pc.addTransceiver("video")
        pc.createDataChannel("x")
        dtls = transceiver.receiver.transport
        ice = dtls.transport
        for holder, names in (
            (transceiver.sender, [f"_RTCRtpSender__{x}" for x in SENDER]),
            (transceiver, ["_codecs"]),
            (transceiver.sender, ["_ssrc", "_rtx_ssrc"]),
            (transceiver.receiver, [f"_RTCRtpReceiver__{x}" for x in RECEIVER]),
            (dtls, ["_rtp_router", "_recv_next", "_state"]),
            (dtls._rtp_router, ["ssrc_table", "payload_type_table"]),
            (ice, ["_connection", "_recv", "_send", "_RTCIceTransport__monitor_task"]),
            (ice.iceGatherer, ["_connection", "_remote_candidates_end"]),
            (ice._connection, CONNECTION),
            (pc.sctp, SCTP),
            (rtcsctptransport.InboundStream(), ["reassembly"]),
        ):
            for name in names:
                assert hasattr(holder, name), (holder, name)
        assert ice.iceGatherer._connection is ice._connection
        await ice.iceGatherer.gather()
        protocol = ice._connection._protocols[0]
        assert protocol.receiver is ice._connection
        assert protocol.local_candidate.component == 1
        assert "datagram_received" not in vars(protocol)
    finally:
        await pc.close()


def test_default_stun_is_only_left_out_by_saying_so() -> None:
    assert rtcicetransport.RTCIceGatherer.getDefaultIceServers()
    assert rtcicetransport.connection_kwargs([]) == {}


async def test_the_defects_worked_around_are_still_there() -> None:
    """Where one of these is mended, its workaround can go."""
    assert rtp.RTP_HISTORY_SIZE == 128
    assert "data[0]" in body(
        rtcdtlstransport.RTCDtlsTransport._recv_next
    )  # an empty datagram ends the session
    first = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    second = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        first.createDataChannel("x")
        await first.setLocalDescription(await first.createOffer())
        sdp = first.localDescription.sdp
        ufrags = []
        for text in (sdp, re.sub("a=ice-ufrag:.*", "a=ice-ufrag:wxyz", sdp)):
            await second.setRemoteDescription(RTCSessionDescription(text, "offer"))
            await second.setLocalDescription(await second.createAnswer())
            ufrags.append(re.findall("a=ice-ufrag:(.*)", second.localDescription.sdp))
        assert ufrags[0] == ufrags[1]  # a restart is answered as if it were none
    finally:
        await asyncio.gather(first.close(), second.close())


def test_only_privates_touches_privates() -> None:
    """Elsewhere in the package, an underscored name is asked of self only."""
    for path in PEER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and re.match("_(?!_init__)", node.attr):
                owner = node.value
                mine = isinstance(owner, ast.Name) and owner.id == "self"
                assert mine, f"{path.name}:{node.lineno} {node.attr}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("aiortc", "aioice")):
                assert not any(alias.name.startswith("_") for alias in node.names)
