"""One visitor's session: joins a Peer and a Pipeline for as long as both live. Knows no HTTP and no codec.

Everything here runs on the event loop; what the pipeline says comes through the LoopBridge.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

from gpu.codec.base import ENCODES
from gpu.editor import EditRefused
from gpu.errors import FrameError, RelensError
from gpu.film.play import FilmPlayer
from gpu.models.base import EditModel
from gpu.pipeline import Pipeline
from gpu.types import Codec, Edit, EncodedFrame
from gpu.worker import Worker
from server import protocol
from server.bridge import LoopBridge
from server.config import Config
from server.edit_channel import EditChannel
from server.errors import PeerLost, ProtocolError
from server.hold_back import HoldBack
from server.kept.session_log import SessionLog
from server.metrics import Metrics
from server.peer import EncodedAudio, Peer, PeerState
from server.rate import TokenBucket
from server.recording import Recording
from server.session_control import SessionControl
from server.session_film import SessionFilm
from server.session_limits import OTHERS_WAIT, PAUSED, SessionTimes, due
from server.session_parts import (
    SessionState,
    close_bounded,
    open_pipeline,
    peer_config,
    pipeline_config,
)
from server.session_stats import SessionFacts, SessionMeter

log = logging.getLogger(__name__)

TICK_S = 0.25  # limits are checked, unsent messages tried again
UNSENT_TICK_S = 0.05
STATS_EVERY_S = 1.0
LAST_WORDS_S = 0.05  # for the reason of an end to leave before the channel closes

UNHEARD = ("deleted", "peer-closed", "peer-lost", "never-connected", "refused")  # nobody listens any more


class Session:
    """Made for one offer; ends once, for one reason, and tells `on_closed` when nothing of it is left."""

    def __init__(
        self,
        session_id: str,
        config: Config,
        metrics: Metrics,
        executor: Executor,
        encodes: tuple[Codec, ...] = ENCODES,
        film: FilmPlayer | None = None,
        log_to: SessionLog | None = None,
    ) -> None:
        """`encodes`: what the stream's media path can send back. `film`: what is edited in the place of what
        the peer sends; it is the session's to close. `log_to`: where its edits are written down."""
        loop = asyncio.get_running_loop()
        self.id = session_id
        self.state = SessionState.CONNECTING
        self.started_s = time.monotonic()
        self.etag = ""  # of the newest answer
        self.on_closed: Callable[[Session], None] = lambda _: None
        self._config = config
        self._metrics = metrics
        self._executor = executor
        self._bridge = LoopBridge(loop, self)
        self._peer = Peer(peer_config(config, encodes=encodes), self)
        self._pipeline: Pipeline | None = None
        self._audio = HoldBack(self._peer.send_audio, waits=film is not None)
        self._film = SessionFilm(film, self._audio, self._on_silent) if film is not None else None
        self._recording = Recording(log_to, session_id)
        self._control = SessionControl(self._audio, self._film, self._recording)
        bucket = TokenBucket(config.messages_per_s, config.message_burst, self.started_s)
        self._channel = EditChannel(self._control, self._peer.send_message, bucket, metrics.message_rejected)
        self._meter = SessionMeter()
        self._model: EditModel | None = None
        self._media_s = self._moved_s = self.started_s
        self._ticker: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None

    # -- opening and ending

    async def open(self, offer: str, worker: Worker, first: Edit | None) -> str:
        """Answer `offer`; `first` is in force from the first frame.

        Raises ProtocolError, DeviceError or ModelError; the caller then closes the session."""
        answer = await self._peer.accept(offer)
        came, back = self._peer.codec_in, self._peer.codec_out
        codec_in, codec_out = came or back, back or ENCODES[0]  # a peer may send only, or receive only
        if codec_in is None:
            raise ProtocolError("the offer has no video: add one sendrecv video with H.264 or VP8")
        pipeline = await open_pipeline(
            worker,
            pipeline_config(self._config, codec_in, codec_out),
            self._bridge,
            self._executor,
            self._config.open_timeout_s,
        )
        if self._closer is not None:  # its end did not see this pipeline
            await asyncio.get_running_loop().run_in_executor(self._executor, pipeline.close)
            raise PeerLost("the peer left while the session was opened: offer again")
        self._pipeline, self._model = pipeline, worker.model
        self._control.begin(pipeline, worker.model)
        self._recording.begin(worker.model.spec.name)
        name = worker.model.spec.name
        way = pipeline.path.words
        log.info("session %s: %s in, %s out, model %s: %s", self.id[:6], codec_in, codec_out, name, way)
        if first is None and self._film is not None:
            first = self._film.first_edit()
        if first is not None:
            self._channel.begin(replace(first, revision=0))
        if self._film is not None:
            self._film.start(pipeline, self._peer.hears, self._bridge.on_error)
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name=f"session-{self.id[:6]}")
        self._ticker.add_done_callback(self._tick_ended)
        return answer

    async def reoffer(self, offer: str) -> str:
        """A new offer of the same peer (ICE restart). Raises ProtocolError."""
        return await self._peer.accept(offer)

    async def add_candidates(self, fragment: str) -> None:
        """Trickled candidates. Raises ProtocolError."""
        await self._peer.add_candidates(fragment)

    def end(self, code: str, message: str) -> asyncio.Task[None]:
        """Begin to end, once; later reasons are not heard. The task is done when nothing is left."""
        if self._closer is None:
            self.state = SessionState.CLOSING
            self._closer = asyncio.get_running_loop().create_task(
                self._close(code, message), name=f"close-{self.id[:6]}"
            )
        return self._closer

    def make_way(self) -> None:
        """Somebody else wants the place."""
        self.end(PAUSED, OTHERS_WAIT)

    def warn_going_away(self) -> None:
        """The server will stop: the client may connect anew at once."""
        self._channel.say(
            protocol.Error(
                code="going-away", message="the server restarts: reconnect, your edit can be sent again"
            )
        )

    async def _close(self, code: str, message: str) -> None:
        try:
            await self._close_parts(code, message)
        finally:  # whatever happened, the place is free again
            self.state = SessionState.CLOSED
            self.on_closed(self)

    async def _close_parts(self, code: str, message: str) -> None:
        log.info("session %s ends after %.1f s: %s (%s)", self.id[:6], self.age_s, message, code)
        self._metrics.session_ended(code)
        shown = self._pipeline.stats() if self._pipeline is not None else None
        self._recording.end(code, (shown.width, shown.height) if shown is not None else (0, 0))
        if self._ticker is not None:
            self._ticker.cancel()
        if code not in UNHEARD:
            self._channel.say(protocol.Error(code=code, message=message))
            await asyncio.sleep(LAST_WORDS_S)
        self._bridge.close()
        self._audio.clear()
        unheard = self._audio.dropped
        if self._film is not None:
            unheard += self._film.fall_silent()
        if unheard:
            self._metrics.dropped("audio", unheard)
        await close_bounded(self._peer.close(), f"session {self.id[:6]}: its peer")
        if self._film is not None:
            film = asyncio.get_running_loop().run_in_executor(self._executor, self._film.close)
            await close_bounded(asyncio.shield(film), f"session {self.id[:6]}: its film")
        if self._pipeline is not None:
            loop = asyncio.get_running_loop()
            closing = loop.run_in_executor(self._executor, self._pipeline.close)
            # shielded: a close cancelled before its turn would leave two threads and the model's state
            await close_bounded(asyncio.shield(closing), f"session {self.id[:6]}: its pipeline")

    # -- PeerListener

    def on_video(self, frame: EncodedFrame) -> None:
        self._media_s = time.monotonic()
        self._metrics.frames_in.inc()
        if self._pipeline is not None and self._closer is None:
            self._pipeline.push(frame)

    def on_audio(self, packet: EncodedAudio) -> None:
        if not self._control.paused and self._closer is None and self._film is None:
            self._audio.push(packet)

    def on_message(self, data: str | bytes) -> None:
        if self._pipeline is not None and self._closer is None:
            self._channel.on_message(data)

    def on_keyframe_needed(self) -> None:
        if self._pipeline is not None:
            self._pipeline.force_keyframe()

    def on_bitrate(self, bps: int) -> None:
        if self._pipeline is not None:
            self._pipeline.set_bitrate(bps)  # its encoder clamps to the configured floor and ceiling

    def on_state(self, state: PeerState) -> None:
        match state:
            case PeerState.CONNECTED if self.state is SessionState.CONNECTING:
                self.state = SessionState.OPEN
                self._media_s = time.monotonic()
                self._metrics.session_connected(self.age_s)
            case PeerState.CONNECTED if self.state is SessionState.OPEN:  # again, after an ICE restart
                self._media_s = time.monotonic()
                self._peer.request_keyframe()
                self.on_keyframe_needed()
            case PeerState.FAILED if self.state is SessionState.CONNECTING:
                self.end("never-connected", "no network path to the peer was found in time")
            case PeerState.FAILED:
                self.end("peer-lost", "the network path to the peer is gone")
            case PeerState.CLOSED:
                self.end("peer-closed", "the peer closed the connection")

    # -- its film

    def _on_silent(self, why: str) -> None:
        log.info("session %s: its film plays on without sound: %s", self.id[:6], why)
        self._channel.say(protocol.Error(code="no-sound", message=f"{why}: the preview goes on without it"))

    # -- BridgeListener

    def on_edited(self, frame: EncodedFrame) -> None:
        self._recording.shown(frame.pts)
        try:
            self._peer.send_video(frame)
        except FrameError as error:
            self._metrics.error(type(error).__name__)
            self.on_keyframe_needed()
            return
        self._metrics.frames_out.inc()
        self._audio.video_left(frame.pts)
        if frame.arrived_ns:
            latency_s = (time.monotonic_ns() - frame.arrived_ns) / 1e9
            self._meter.frame_out(latency_s)
            self._metrics.added_latency.observe(latency_s)

    def on_applied(self, revision: int, pts: int) -> None:
        self._recording.applied(revision, pts)
        self._channel.on_applied(revision, pts)

    def on_source_keyframe_needed(self) -> None:
        self._peer.request_keyframe()

    def on_degraded(self, level: int, message: str) -> None:
        self._channel.say(protocol.Degraded(level=level, message=message))

    def on_error(self, exc: RelensError) -> None:
        self._metrics.error(type(exc).__name__)
        if isinstance(exc, EditRefused):
            self._channel.on_refused(exc.revision, exc.why)
        elif not isinstance(exc, FrameError):
            self.end("stream-failed", str(exc))

    def on_frames_lost(self, count: int) -> None:
        self._metrics.dropped("loop", count)
        self.on_keyframe_needed()

    # -- watching over it

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started_s

    def stood_s(self) -> float:
        """For how long it has been paused, or its film has stood, with nothing asked for; 0: it moves."""
        if self.state is not SessionState.OPEN or self._control.moves:
            return 0.0
        return time.monotonic() - max(self._moved_s, self._channel.asked_s)

    async def _tick(self) -> None:
        stats_at_s = time.monotonic() + STATS_EVERY_S
        while True:
            await asyncio.sleep(UNSENT_TICK_S if self._channel.has_unsent else TICK_S)
            now_s = time.monotonic()
            if self._film is not None:
                self._channel.say_now(self._film.message())
                self._media_s = now_s
            if self._control.moves:
                self._moved_s = now_s
            times = SessionTimes(self.age_s, now_s - self._media_s, self.stood_s())
            if (end := due(self.state, times, self._config)) is not None:
                self.end(*end)
            self._channel.flush()
            if now_s >= stats_at_s and self._pipeline is not None:
                stats_at_s = max(stats_at_s + STATS_EVERY_S, now_s + STATS_EVERY_S / 2)
                if self.state is SessionState.OPEN:
                    self._channel.say_now(self.measure())

    def _tick_ended(self, ticker: asyncio.Task[None]) -> None:
        """Only cancelled at the end; a session that nobody watches any more must not live on."""
        if not ticker.cancelled() and (error := ticker.exception()) is not None:
            log.error("session %s: watching over it failed", self.id[:6], exc_info=error)
            self._metrics.error("internal")
            self.end("internal", "a defect of relens ended the session: connect again")

    def measure(self) -> protocol.Stats:
        """What is true of this stream now, measured over the last second."""
        if self._pipeline is None or self._model is None:
            raise PeerLost("the session is not open")
        stats = self._pipeline.stats()
        self._metrics.observe(stats)
        return self._meter.message(self._model, stats, self._peer.stats(), self._channel.applied, self.age_s)

    def facts(self) -> SessionFacts:
        """For operators; nothing that would let them act in the visitor's name."""
        pipeline = self._pipeline.stats() if self._pipeline is not None else None
        peer = self._peer.stats()
        return SessionFacts(
            state=self.state.value,
            model=self._model.spec.name if self._model else "",
            codec=self._peer.codec_in or "",
            age_s=round(self.age_s, 1),
            width=pipeline.width if pipeline else 0,
            height=pipeline.height if pipeline else 0,
            fps_out=pipeline.fps_out if pipeline else 0.0,
            bitrate_in_bps=peer.bitrate_in_bps,
            bitrate_out_bps=peer.bitrate_out_bps,
            revision=max(self._channel.applied, 0),
            paused=self._control.paused,
        )
