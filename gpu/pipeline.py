"""One stream from encoded frame to encoded frame: intake (decode) -> editor (by the worker) -> outlet.

Owns the stream's two threads and its numbers, and says what its faults end. Knows nothing of sessions,
packets or other streams.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gpu import threads
from gpu.codec import EncoderConfig, Profile
from gpu.editor import Editor, EditRefused
from gpu.errors import DeviceError, FrameError, ModelError, RelensError
from gpu.intake import Intake, IntakeConfig, Waiting
from gpu.models.base import EditModel
from gpu.outlet import Outlet
from gpu.path import MediaPath, host_path
from gpu.sink import PipelineSink, Reporter
from gpu.stats import Meter, PipelineStats
from gpu.types import Codec, Edit, EncodedFrame, Picture, Reading

__all__ = ["Pipeline", "PipelineConfig", "PipelineSink", "PipelineStats"]

logger = logging.getLogger(__name__)

_JOIN_S = 3.0
HEALTHY_STEPS = 300  # after so many good steps an old crash of the model is forgiven


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
    queue_frames: int = 60  # encoded frames waiting for the decoder: two seconds, while a model compiles

    @property
    def encoder(self) -> EncoderConfig:
        return EncoderConfig(
            codec=self.codec_out,
            bitrate_bps=self.bitrate_bps,
            min_bps=self.min_bitrate_bps,
            max_bps=self.max_bitrate_bps,
            profile=self.profile,
        )


class Pipeline:
    """Open with `Worker.open`. Every public method may be called from any thread; only `close` waits."""

    def __init__(
        self,
        model: EditModel,
        config: PipelineConfig,
        sink: PipelineSink,
        wake: Callable[[], None],
        path: MediaPath | None = None,
    ) -> None:
        """`path`: who decodes and encodes, and where the pictures are meanwhile; None: libav, in host memory.

        Raises DeviceError when there is no encoder."""
        path = path if path is not None else host_path()
        self.path = path
        self._wake = wake
        self._meter = Meter()
        self._reporter = Reporter(sink, self._meter)
        self._editor = Editor(model, live=not config.in_order)
        intake = IntakeConfig(
            codec=config.codec_in,
            chunk_frames=model.spec.frames_per_chunk,
            max_size=model.spec.max_size,
            max_fps=config.max_fps,
            in_order=config.in_order,
            queue_frames=config.queue_frames,
        )
        self._intake = Intake(intake, path, self._meter, self._reporter, self._editor.prepare, wake)
        self._outlet = Outlet(
            config.encoder,
            path,
            model.spec.frames_per_chunk,
            self._meter,
            self._reporter,
            wake,
            live=not config.in_order,
        )
        self._closed = threading.Event()
        self._steps_since_crash: int | None = None
        self.served_ns = 0  # the worker's: when this stream last had its turn
        self.step_since_ns = 0  # when the running step began, 0 between steps
        self._threads = [
            threading.Thread(target=self._guard, args=(part,), name=f"relens-{name}", daemon=True)
            for name, part in (("decode", self._intake), ("encode", self._outlet))
        ]

    # -- for the stream's owner

    def push(self, frame: EncodedFrame) -> None:
        """Hand in an encoded frame. Never waits; on overflow everything goes and a keyframe is asked for."""
        self._intake.push(frame)

    def show(self, picture: Picture) -> None:
        """Hand in a picture that needs no decoder, at its time; one thread, and no `push` beside it."""
        self._intake.show(picture)

    def push_wait(self, frame: EncodedFrame, timeout_s: float) -> bool:
        """As `push`, waiting for room first; False when there was none in time (files)."""
        if not self._intake.wait_for_room(timeout_s):
            return False
        self._intake.push(frame)
        return True

    def set_edit(self, edit: Edit) -> Reading:
        """Ask for an edit from the next step on; `on_applied` follows with its first frame."""
        return self._editor.want(edit)

    def force_keyframe(self) -> None:
        """Send a keyframe soon; many calls make one."""
        self._outlet.force_keyframe()

    def set_bitrate(self, bps: int) -> None:
        """Aim the encoder at `bps`, within its configured floor and ceiling, without a keyframe."""
        self._outlet.set_bitrate(bps)

    def pause(self) -> None:
        """Drop what comes in, undecoded, until `resume`."""
        self._intake.pause()

    def resume(self) -> None:
        """Go on from the next keyframe, which is asked for."""
        self._intake.resume()

    def stats(self) -> PipelineStats:
        stats = self._meter.stats(
            time.monotonic_ns(),
            self._reporter.applied,
            self._reporter.level,
            self._intake.paused,
            self._outlet.target_bps,
        )
        return replace(stats, decoder=self._intake.decoded_by, encoder=self._outlet.encoded_by)

    @property
    def closed(self) -> bool:
        """True after `close`, or after the stream ended itself with `on_error`."""
        return self._closed.is_set()

    def close(self) -> None:
        """End the stream and its threads; the sink hears nothing more. Idempotent, a few seconds at most."""
        self._reporter.silence()
        self._stop()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(_JOIN_S)
                if thread.is_alive():
                    logger.error("thread %s did not end within %.0f s", thread.name, _JOIN_S)
        self._editor.close()

    def discard(self) -> None:
        """Close a stream that was never started."""
        self.close()
        self._outlet.release()

    # -- for the worker

    def start(self) -> None:
        for thread in self._threads:
            threads.start(thread)

    @property
    def ready(self) -> bool:
        """A whole chunk waits and the encoder has room for it."""
        return not self._closed.is_set() and self._intake.ready and self._outlet.has_room

    def serve(self) -> None:
        """Take the chunk, edit it, pass it on. Never raises: what goes wrong here stays in this stream."""
        chunk = self._intake.take()
        if not chunk:
            return
        began_ns = self.step_since_ns = time.monotonic_ns()
        try:
            self._step(chunk, began_ns)
        except FrameError as exc:
            self._reporter.lost(exc, len(chunk))
            if isinstance(exc, EditRefused):
                self._reporter.refused(exc)
        except RelensError as exc:
            self._fail(exc)
        except Exception as exc:  # a model's defect must not end the other streams, whatever it throws
            self._crashed(exc, len(chunk))
        finally:
            self.step_since_ns = 0

    def _step(self, chunk: list[Waiting], began_ns: int) -> None:
        edited = self._editor.edit([waiting.frame for waiting in chunk])
        now_ns = time.monotonic_ns()
        for waiting in chunk:
            self._meter.time("wait", now_ns, began_ns - waiting.ready_ns)
            self._meter.time("edit", now_ns, now_ns - began_ns)
        if self._steps_since_crash is not None:
            self._steps_since_crash += 1
        self._outlet.put(edited)

    def report_stuck(self, step_s: float) -> None:
        """The watchdog's: a step of this stream takes very long."""
        self._reporter.stuck(step_s)

    # -- what its faults end

    def _guard(self, part: Intake | Outlet) -> None:
        try:
            part.run()
        except RelensError as exc:
            self._fail(exc)
        except Exception as exc:  # the thread ends either way; the owner must hear of it
            logger.exception("a stream's thread crashed")
            self._fail(DeviceError(f"the video pipeline failed ({exc!r}): open the session again"))
        part.release()  # after the owner has heard: it may wait for a GPU

    def _crashed(self, exc: Exception, frames: int) -> None:
        """An unexpected exception of the model: the first opens the state anew, one soon after is the end."""
        self._reporter.lost(exc, frames)
        again = self._steps_since_crash is not None and self._steps_since_crash < HEALTHY_STEPS
        if again:
            logger.error("the model failed twice on one stream", exc_info=exc)
            self._fail(ModelError(f"the model failed twice on this stream ({exc!r}): open the session again"))
        else:
            self._steps_since_crash = 0
            self._editor.reopen()

    def _fail(self, exc: RelensError) -> None:
        self.path.failed(exc)
        self._reporter.fail(exc)
        self._stop()

    def _stop(self) -> None:
        self._closed.set()
        self._intake.close()
        self._outlet.close()
        self._wake()
