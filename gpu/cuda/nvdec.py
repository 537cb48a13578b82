"""Decode on the GPU's video engine to pictures that stay in its memory. Knows one stream and no more."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.bounded import Bounded
from gpu.cuda.cuvid import NAMES, caps_of, decoder_caps
from gpu.cuda.driver import CudaError, Device, DeviceArray, DeviceLost, DeviceTimeout, Stream
from gpu.cuda.frame import DeviceFrame, FramePool, Nv12
from gpu.cuda.kernels import Kernels
from gpu.cuda.nvdec_order import Order
from gpu.cuda.nvdec_parser import Parser
from gpu.cuda.nvdec_recovery import Recovery
from gpu.cuda.nvdec_references import References
from gpu.cuda.nvdec_sequence import Sequence
from gpu.cuda.nvdec_surfaces import Surfaces
from gpu.errors import DeviceError, FrameError
from gpu.types import Codec, EncodedFrame

_TIMEOUT_S = 5.0  # for a unit; the first makes a decoder, which takes some tens of milliseconds


@dataclass(slots=True)
class _Picture:
    """What is in a surface."""

    pts: int
    arrived_ns: int
    whole: bool  # not half of two fields
    progressive: bool
    shown: bool = False


class NvdecDecoder:
    """One access unit in, its picture out, in the same call. Pictures beyond `max_size`, either way up, are
    scaled down by the engine. Implements gpu.codec.base.Decoder but for the kind of picture."""

    def __init__(
        self,
        device: Device,
        codec: Codec,
        max_size: tuple[int, int] | None = None,
        most: int = 8,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        """`most`: how many decoded pictures may be in use at a time. Raises DeviceError, with what replaces
        it, where the GPU or its driver does not decode `codec`."""
        if caps_of(device, codec) is None:
            able = ", ".join(dict.fromkeys(NAMES[caps.codec] for caps in decoder_caps(device))) or "nothing"
            raise DeviceError(
                f"{device.info.name} does not decode {NAMES[codec]} (it decodes {able}): let libav decode it "
                f"on the CPU"
            )
        self._device, self._codec, self._max_size, self._most = device, codec, max_size, most
        # cuvidMapVideoFrame blocks until a picture is decoded, without a limit of its own: so on a thread.
        self._thread = Bounded("relens-nvdec", timeout_s)
        self._stream: Stream = device.stream()
        self._references, self._order = References(codec), Order(codec)
        self._parser: Parser | None = None
        self._surfaces: Surfaces | None = None
        self._pool: FramePool | None = None
        self._kernels: Kernels | None = None
        self._pictures: dict[int, _Picture] = {}  # by surface; bounded by how many there are
        self._unit = EncodedFrame(b"", 0, False, codec)  # the one being decoded
        self._out: list[DeviceFrame] = []  # of that unit
        self._decoded = 0  # pictures of that unit
        self._dropped: FrameError | None = None  # of that unit: decoded, but there was no buffer
        self._recovery = Recovery()
        self._closed = False

    @property
    def waiting_for_keyframe(self) -> bool:
        """True when nothing can be shown until a keyframe comes."""
        return self._recovery.waiting

    def decode(self, encoded: EncodedFrame) -> list[DeviceFrame]:
        """Usually one picture; none while the decoder waits for a keyframe, or for an earlier B-frame.

        Raises FrameError when the access unit is corrupt, refers to what did not come, or cannot be kept
        because all buffers are in use; DeviceError when this GPU cannot decode the stream, DeviceLost when it
        is gone, DeviceTimeout when it hangs (then the decoder is closed)."""
        if self._closed or not self._device.context:
            raise DeviceError("this decoder, or its device, is closed: open another")
        if not self._recovery.admits(encoded):
            return []
        try:
            return self._thread.run(partial(self._guarded, encoded))
        except DeviceLost:
            self.close()
            raise
        except DeviceTimeout:
            if self._thread.stuck:
                self.close()
            raise

    def close(self) -> None:
        """Give everything back; pictures handed out stay. Idempotent. What hangs is left to the driver."""
        if self._closed:
            return
        self._closed = True
        with suppress(DeviceError):
            self._thread.run(self._end_session)
        pool, self._pool = self._pool, None
        if self._thread.stuck:  # the driver would wait for it, without end
            for resource in (self._parser, self._surfaces, self._stream):
                if resource is not None:
                    resource.abandon()
            if pool is not None:
                pool.abandon()
        elif pool is not None:
            pool.close()
        self._kernels = None
        self._stream.close()
        self._thread.close()

    def _guarded(self, encoded: EncodedFrame) -> list[DeviceFrame]:
        try:
            if not encoded.data:  # the parser would take it for the end of the stream
                raise FrameError(f"an empty access unit at pts {encoded.pts}: a keyframe repairs it")
            with self._device.current():
                frames = self._decode(encoded)
        except FrameError as error:
            self._recover(encoded)
            self._recovery.judge(encoded, error)
            raise
        except BaseException:
            self._recover(encoded)
            raise
        self._recovery.decoded()
        if self._dropped is not None:  # what follows can be decoded: no keyframe is needed
            raise self._dropped
        return frames

    def _recover(self, encoded: EncodedFrame) -> None:
        self._recovery.begin(encoded)
        self._pictures.clear()
        self._out = []
        self._references.forget()
        if encoded.is_keyframe:  # not even that: parser and decoder may be damaged. Else their state is kept
            self._end_session()

    def _decode(self, encoded: EncodedFrame) -> list[DeviceFrame]:
        self._unit, self._out, self._decoded, self._dropped = encoded, [], 0, None
        self._order.begin(encoded.pts)
        self._references.begin(encoded.data, encoded.is_keyframe)
        if self._parser is None:
            self._parser = Parser(self._device, self._codec, self)
        try:
            self._parser.feed(encoded.data, encoded.pts)
        except DeviceLost:
            raise
        except CudaError as error:
            if error.call != "cuvidParseVideoData":
                raise
            raise self._corrupt(f"the parser refuses it ({error.name})") from error
        if self._order.early:
            self._show_early()
        if not self._decoded and not self._out and self._dropped is None:
            raise self._corrupt("there is no picture in it")
        out, self._out = self._out, []
        return out

    def _show_early(self) -> None:
        for index, picture in sorted(self._pictures.items(), key=lambda item: item[1].pts):
            if picture.whole and not picture.shown:
                self._show(index, picture, picture.pts, picture.arrived_ns)

    def on_sequence(self, found: structs.VideoFormat) -> int:
        """For the parser."""
        sequence = Sequence.read(self._codec, found)
        size = sequence.fitted(self._max_size)
        surfaces = self._surfaces
        if surfaces is None or (sequence, size) != (surfaces.sequence, surfaces.size):
            caps = sequence.check(
                caps_of(self._device, self._codec, sequence.bit_depth), self._device.info.name
            )
            self._stream.synchronize()  # copies out of surfaces that go away
            self._pictures.clear()
            if surfaces is None or not surfaces.adopt(sequence, size):
                self._surfaces = None
                if surfaces is not None:
                    surfaces.close()
                surfaces = self._surfaces = Surfaces(self._device, sequence, caps, size)
        if self._pool is None or (self._pool.width, self._pool.height) != size:
            if self._pool is not None:
                self._pool.close()
            self._pool = FramePool(self._device, *size, most=self._most)
        return surfaces.surfaces

    def on_picture(self, picture: Any) -> None:
        """For the parser."""
        found: structs.PicParams = picture.contents
        if self._surfaces is None:
            raise self._corrupt("no sequence header came before it")
        if self._references.missing(found):
            raise self._corrupt("it is predicted from a picture that did not come")
        try:
            self._surfaces.decode(picture)
        except DeviceLost:
            raise
        except CudaError as error:
            raise self._corrupt(f"the decoder refuses it ({error.name})") from error
        self._decoded += 1
        whole = not found.field_pic_flag or bool(found.second_field)
        unit = self._unit
        self._pictures[found.CurrPicIdx] = _Picture(
            unit.pts, unit.arrived_ns, whole, not found.field_pic_flag
        )

    def on_display(self, shown: structs.DisplayInfo) -> None:
        """For the parser."""
        picture = self._pictures.get(shown.picture_index)
        if picture is None:  # of before an error
            return
        if not self._order.reorders:
            self._show(shown.picture_index, picture, self._unit.pts, self._unit.arrived_ns)
        elif not picture.shown:
            self._show(shown.picture_index, picture, picture.pts, picture.arrived_ns)

    def _show(self, index: int, picture: _Picture, pts: int, arrived_ns: int) -> None:
        """Copy a picture out, on the GPU."""
        picture.shown = True
        if self._order.is_late(pts):
            return
        surfaces, pool = self._surfaces, self._pool
        if surfaces is None or pool is None:
            raise self._corrupt("no sequence header came before it")
        try:
            # Readers of its last picture are waited for here (they are done long since, as a rule), not on
            # our stream: there the engine's own work would wait behind them, in surfaces it may soon decode
            # into.
            buffer = pool.take()
        except FrameError as error:
            self._dropped = error
            return
        try:
            with surfaces.mapped(index, picture.progressive, self._stream) as (address, pitch):
                if surfaces.damaged(index):
                    raise self._corrupt("its samples are damaged")
                self._copy(surfaces, address, pitch, buffer)
        except DeviceLost:
            raise
        except CudaError as error:
            raise self._corrupt(f"the decoder does not give it out ({error.name})") from error
        sequence = surfaces.sequence
        self._out.append(
            buffer.frame(pts, arrived_ns, sequence.full_range, sequence.bt709, stream=self._stream)
        )
        self._order.show(pts)

    def _copy(self, surfaces: Surfaces, address: int, pitch: int, buffer: Nv12) -> None:
        width, height = surfaces.size
        if surfaces.output == structs.NV12:  # both planes at once: in both places chroma follows luma
            self._stream.copy2d(buffer.luma.ptr, buffer.pitch, address, pitch, width, height * 3 // 2)
            return
        if self._kernels is None:
            self._kernels = Kernels.load(self._device)
        shape, small = (height, width), (height // 2, width // 2, 2)
        luma = DeviceArray(self._device, address, shape, "u2", (pitch, 2))
        chroma = DeviceArray(self._device, address + pitch * height, small, "u2", (pitch, 4, 2))
        sequence = surfaces.sequence
        self._kernels.p016_to_nv12(
            self._stream, luma, chroma, buffer, sequence.bit_depth, sequence.full_range
        )

    def _corrupt(self, why: str) -> FrameError:
        return FrameError(
            f"{NAMES[self._codec]} access unit of {len(self._unit.data)} bytes at pts {self._unit.pts} "
            f"cannot be decoded: {why}; a keyframe repairs it"
        )

    def _end_session(self) -> None:
        parser, self._parser = self._parser, None
        surfaces, self._surfaces = self._surfaces, None
        self._pictures.clear()
        self._out = []
        with suppress(DeviceError):  # a GPU that is lost or hangs has nothing to wait for
            self._stream.synchronize()
        if parser is not None:
            parser.close()
        if surfaces is not None:
            surfaces.close()
