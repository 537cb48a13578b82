"""One stream from encoded frame to encoded frame: decode -> mailbox -> (worker: edit) -> encode.

Owns the stream's two threads, bounded queues, codecs and numbers. Knows nothing of sessions, packets or other
streams. The worker calls `ready` and `serve`; everything else is called by the stream's owner.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gpu.codec import EncoderConfig, Profile, open_decoder, open_encoder
from gpu.codec.base import Decoder
from gpu.editor import Edited, Editor
from gpu.errors import DeviceError, FrameError, ModelError, RelensError
from gpu.ladder import Ladder
from gpu.mailbox import EncodedQueue, Mailbox, Outbox
from gpu.models.base import EditModel
from gpu.stats import Meter, PipelineStats
from gpu.types import CLOCK_HZ, Codec, Edit, EncodedFrame, Frame, Reading

logger = logging.getLogger(__name__)

_POLL_S = 0.5  # every wait of the stream's threads; closing wakes them at once
_JOIN_S = 3.0
_ASK_KEYFRAME_NS = 400_000_000  # a sender needs one round trip and an intra frame's time to answer
_KEYFRAME_FLOOR_TICKS = CLOCK_HZ // 4  # keyframes sent on request: at most four a second
_LOG_NS = 1_000_000_000
_HEALTHY_STEPS = 300  # after so many good steps an old crash is forgiven


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """How one stream runs. `in_order`: files, nothing lost and back-pressure; otherwise live, newest wins."""

    codec_in: Codec = "h264"
    codec_out: Codec = "h264"
    bitrate_bps: int = 1_500_000
    min_bitrate_bps: int = 150_000
    max_bitrate_bps: int = 4_000_000
    profile: Profile = "baseline"  # of H.264 out: the highest the peer accepts
    max_fps: float = 30.0  # faster cameras are thinned out before the model
    in_order: bool = False
    queue_frames: int = 30  # encoded frames waiting for the decoder: one second

    @property
    def encoder(self) -> EncoderConfig:
        return EncoderConfig(
            codec=self.codec_out,
            bitrate_bps=self.bitrate_bps,
            min_bps=self.min_bitrate_bps,
            max_bps=self.max_bitrate_bps,
            profile=self.profile,
        )


class PipelineSink(Protocol):
    """Takes what a stream gives. Called on the stream's threads; must not block."""

    def on_frame(self, frame: EncodedFrame) -> None: ...
    def on_applied(self, revision: int, pts: int) -> None: ...
    def on_keyframe_needed(self) -> None: ...
    def on_degraded(self, level: int, message: str) -> None: ...
    def on_error(self, exc: RelensError) -> None: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A decoded picture with the moment it was ready."""

    frame: Frame
    ready_ns: int


class Pipeline:
    """Open with `Worker.open`. Every public method may be called from any thread and returns at once."""

    def __init__(
        self, model: EditModel, config: PipelineConfig, sink: PipelineSink, wake: Callable[[], None]
    ) -> None:
        self._config, self._sink, self._wake = config, sink, wake
        self._chunk_frames = model.spec.frames_per_chunk
        self._max_size = model.spec.max_size
        self._editor = Editor(model)
        self._queue = EncodedQueue(config.queue_frames)
        self._mailbox: Mailbox[_Waiting] = Mailbox(self._chunk_frames, newest_wins=not config.in_order)
        self._outbox: Outbox[Edited] = Outbox(2 * self._chunk_frames)
        self._encoder = open_encoder(config.encoder)
        self._meter, self._ladder = Meter(), Ladder()
        self._closed = threading.Event()
        self._lock = threading.Lock()  # the small flags below
        self._paused = self._keyframe_wanted = self._restart_decoder = False
        self._asked_ns = self._logged_ns = 0
        self._applied = 0
        self._last_decoded_pts: int | None = None
        self._steps_since_crash: int | None = None
        self.served_ns = 0  # the worker's: when this stream last had its turn
        self.step_since_ns = 0  # the worker's: when the running step began, 0 between steps
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=f"relens-{name}", daemon=True)
            for name, loop in (("decode", self._decode_loop), ("encode", self._encode_loop))
        ]

    # -- for the stream's owner

    def push(self, frame: EncodedFrame) -> None:
        """Hand in an encoded frame. Never waits; on overflow everything goes and a keyframe is asked for."""
        if self._closed.is_set() or self._paused:
            return
        self._meter.rate("in", time.monotonic_ns(), len(frame.data))
        self._meter.count("frames_in")
        lost = self._queue.put(frame)
        if lost:
            self._meter.count("dropped", lost)
            self._ask_keyframe()

    def push_wait(self, frame: EncodedFrame, timeout_s: float) -> bool:
        """As `push`, waiting for room first; False when there was none in time (files)."""
        if not self._queue.wait_for_room(timeout_s):
            return False
        self.push(frame)
        return True

    def set_edit(self, edit: Edit) -> Reading:
        """Ask for an edit from the next step on; `on_applied` follows with its first frame."""
        return self._editor.want(edit)

    def force_keyframe(self) -> None:
        """Send a keyframe soon; many calls make one."""
        with self._lock:
            self._keyframe_wanted = True

    def set_bitrate(self, bps: int) -> None:
        """Aim the encoder at `bps`, within its configured floor and ceiling, without a keyframe."""
        self._encoder.set_bitrate(bps)

    def pause(self) -> None:
        """Drop what comes in, undecoded, until `resume`."""
        with self._lock:
            self._paused = True
        self._queue.flush()
        self._mailbox.clear()

    def resume(self) -> None:
        """Go on from the next keyframe, which is asked for."""
        with self._lock:
            if not self._paused:
                return
            self._paused, self._restart_decoder, self._asked_ns = False, True, 0
        self._ask_keyframe()

    def stats(self) -> PipelineStats:
        return self._meter.stats(
            time.monotonic_ns(), self._applied, self._ladder.level, self._paused, self._encoder.target_bps
        )

    @property
    def closed(self) -> bool:
        """True after `close`, or after the stream ended itself with `on_error`."""
        return self._closed.is_set()

    def close(self) -> None:
        """End the stream and its threads; the sink hears nothing more. Idempotent, a few seconds at most."""
        self._stop()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(_JOIN_S)
                if thread.is_alive():
                    logger.error("thread %s did not end within %.0f s", thread.name, _JOIN_S)

    # -- for the worker

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def ready(self) -> bool:
        """A whole chunk waits and the encoder has room for it."""
        return not self._closed.is_set() and self._mailbox.full and self._outbox.has_room(self._chunk_frames)

    def serve(self) -> None:
        """Take the chunk, edit it, pass it on. Never raises: what goes wrong here stays in this stream."""
        chunk = self._mailbox.take()
        if not chunk:
            return
        began_ns = time.monotonic_ns()
        self.step_since_ns = began_ns
        try:
            edited = self._editor.edit([waiting.frame for waiting in chunk])
        except FrameError as exc:
            self._lose(exc, len(chunk))
        except (ModelError, DeviceError) as exc:
            self._fail(exc)
        except Exception as exc:  # a model's defect must not end the other streams, whatever it throws
            self._crash(exc, len(chunk))
        else:
            now_ns = time.monotonic_ns()
            for waiting in chunk:
                self._meter.time("wait", now_ns, began_ns - waiting.ready_ns)
                self._meter.time("edit", now_ns, now_ns - began_ns)
            if self._steps_since_crash is not None:
                self._steps_since_crash += 1
            self._outbox.put(edited)
        finally:
            self.step_since_ns = 0

    def report_stuck(self, step_s: float) -> None:
        """The watchdog's: a step of this stream takes very long."""
        said = self._ladder.stuck(step_s)
        if said:
            logger.error("a model step has been running for %.1f s", step_s)
            self._tell(self._sink.on_degraded, *said)

    # -- the stream's threads

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except RelensError as exc:
            self._fail(exc)
        except Exception as exc:  # the thread ends either way; the owner must hear of it
            logger.exception("a stream's thread crashed")
            self._fail(DeviceError(f"the video pipeline failed ({exc!r}): open the session again"))

    def _decode_loop(self) -> None:
        decoder = open_decoder(self._config.codec_in, self._max_size)
        while not self._closed.is_set():
            encoded = self._queue.get(_POLL_S)
            if encoded is None:
                continue
            if self._take_flag("_restart_decoder"):
                decoder.close()
                decoder = open_decoder(self._config.codec_in, self._max_size)
            self._decode(decoder, encoded)
        decoder.close()

    def _decode(self, decoder: Decoder, encoded: EncodedFrame) -> None:
        began_ns = time.monotonic_ns()
        try:
            frames = decoder.decode(encoded)
        except FrameError as exc:
            self._lose(exc, 1)
            self._ask_keyframe()
            return
        now_ns = time.monotonic_ns()
        if not frames and decoder.waiting_for_keyframe:
            self._meter.count("dropped")
            self._ask_keyframe()
        for frame in frames:
            self._meter.time("decode", now_ns, now_ns - began_ns)
            if self._paused or self._too_soon(frame.pts):
                continue
            self._meter.rate("shown", now_ns)
            self._meter.size(frame.width, frame.height)
            self._post(_Waiting(frame, now_ns))

    def _post(self, waiting: _Waiting) -> None:
        head = self._mailbox.peek()
        if head is not None and head.frame.y.shape != waiting.frame.y.shape:
            self._meter.count("dropped", self._mailbox.clear())  # a chunk is of one size
        lost = self._mailbox.put(waiting, _POLL_S if self._config.in_order else 0)
        while lost and self._config.in_order and not self._closed.is_set():
            lost = self._mailbox.put(waiting, _POLL_S)
        if lost:
            self._meter.count("dropped", lost)
        self._wake()
        self._judge_pace()

    def _too_soon(self, pts: int) -> bool:
        """Thin out a camera faster than max_fps, evenly."""
        if self._config.in_order:
            return False
        last, step = self._last_decoded_pts, CLOCK_HZ / self._config.max_fps
        if last is not None and 0 < pts - last < 0.75 * step:
            return True
        self._last_decoded_pts = pts
        return False

    def _encode_loop(self) -> None:
        last_keyframe_pts: int | None = None
        owed: int | None = None  # a revision whose picture the encoder refused
        while not self._closed.is_set():
            edited = self._outbox.get(_POLL_S)
            self._wake()  # there is room again
            if edited is None:
                continue
            frame = edited.frame
            due = last_keyframe_pts is None or not 0 <= frame.pts - last_keyframe_pts < _KEYFRAME_FLOOR_TICKS
            keyframe = due and self._take_flag("_keyframe_wanted")
            owed = owed if edited.applied is None else edited.applied
            began_ns = time.monotonic_ns()
            try:
                encoded = self._encoder.encode(frame, keyframe)
            except FrameError as exc:
                self._lose(exc, 1)
                self.force_keyframe()
                continue
            now_ns = time.monotonic_ns()
            self._meter.time("encode", now_ns, now_ns - began_ns)
            for out in encoded:
                if out.is_keyframe:
                    last_keyframe_pts = out.pts
                    self._meter.count("keyframes_sent")
                self._deliver(out, now_ns, owed)
                owed = None
        self._encoder.close()

    def _deliver(self, out: EncodedFrame, now_ns: int, applied: int | None) -> None:
        self._meter.rate("out", now_ns, len(out.data))
        self._meter.count("frames_out")
        if out.arrived_ns:
            self._meter.time("total", now_ns, now_ns - out.arrived_ns)
        self._tell(self._sink.on_frame, out)
        if applied is not None:
            self._applied = applied
            self._tell(self._sink.on_applied, applied, out.pts)

    # -- what goes wrong, and what is said of it

    def _lose(self, exc: Exception, frames: int) -> None:
        self._meter.count("frame_errors")
        self._meter.count("dropped", frames)
        self._log(exc)

    def _crash(self, exc: Exception, frames: int) -> None:
        """An unexpected exception of the model: the first opens the state anew, one soon after is the end."""
        self._lose(exc, frames)
        again = self._steps_since_crash is not None and self._steps_since_crash < _HEALTHY_STEPS
        if again:
            logger.exception("the model failed twice on one stream")
            self._fail(ModelError(f"the model failed twice on this stream ({exc!r}): open the session again"))
            return
        self._steps_since_crash = 0
        self._editor.reopen()

    def _fail(self, exc: RelensError) -> None:
        if not self._closed.is_set():
            self._tell(self._sink.on_error, exc)
        self._stop()

    def _stop(self) -> None:
        self._closed.set()
        self._queue.close()
        self._mailbox.close()
        self._outbox.close()
        self._wake()

    def _ask_keyframe(self) -> None:
        now_ns = time.monotonic_ns()
        with self._lock:
            if now_ns - self._asked_ns < _ASK_KEYFRAME_NS:
                return
            self._asked_ns = now_ns
        self._meter.count("keyframes_asked")
        self._tell(self._sink.on_keyframe_needed)

    def _judge_pace(self) -> None:
        now_ns = time.monotonic_ns()
        said = self._ladder.observe(now_ns / 1e9, *self._meter.fps(now_ns))
        if said:
            self._tell(self._sink.on_degraded, *said)

    def _take_flag(self, name: str) -> bool:
        with self._lock:
            was: bool = getattr(self, name)
            setattr(self, name, False)
            return was

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        if self._closed.is_set():
            return
        try:
            callback(*args)
        except Exception as exc:  # the owner's defect: its stream goes on, its log tells
            self._log(exc)

    def _log(self, exc: Exception) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._logged_ns >= _LOG_NS:
            self._logged_ns = now_ns
            logger.warning("stream: %s (%d frame errors so far)", exc, self.stats().frame_errors)
