"""WebRTC with one peer: signalling in, encoded frames both ways. See `Peer`."""

from .peer import Peer
from .types import EncodedAudio, IceServer, PeerConfig, PeerListener, PeerState, PeerStats

__all__ = ["EncodedAudio", "IceServer", "Peer", "PeerConfig", "PeerListener", "PeerState", "PeerStats"]
