"""The parser of libnvcuvid: coded bytes in, callbacks out. Knows no decoder and no pictures."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.cuvid import CODECS, cuvid
from gpu.cuda.resource import Resource
from gpu.types import CLOCK_HZ, Codec

if TYPE_CHECKING:
    from gpu.cuda.driver import Device

_REFUSED, _ACCEPTED = 0, 1  # what callbacks return


class PictureSink(Protocol):
    """What the parser found, in the order of the stream, called inside `Parser.feed`. May raise."""

    def on_sequence(self, found: structs.VideoFormat) -> int:
        """Another kind of picture begins; returns how many pictures the parser may hold."""
        ...

    def on_picture(self, picture: Any) -> None:
        """A picture is to be decoded: pointer to PicParams."""
        ...

    def on_display(self, shown: structs.DisplayInfo) -> None:
        """A decoded picture's turn to be shown has come."""
        ...


class Parser(Resource):
    """The parser of one stream, without delay of its own. One thread at a time."""

    def __init__(self, device: Device, codec: Codec, sink: PictureSink) -> None:
        """`sink` must outlive it. Raises CudaError, DeviceLost."""
        self._cuvid = cuvid()
        self._callbacks = _Callbacks(sink)
        # Kept here: the library has only their addresses.
        self._sequence = structs.SequenceCallback(self._callbacks.sequence)
        self._decode = structs.DecodeCallback(self._callbacks.decode)
        self._display = structs.DisplayCallback(self._callbacks.display)
        params = structs.ParserParams(
            CodecType=CODECS[codec],
            ulMaxNumDecodeSurfaces=1,  # the sequence callback says how many
            ulClockRate=CLOCK_HZ,
            ulErrorThreshold=0,  # no picture that the parser knows to be damaged
            ulMaxDisplayDelay=0,
            pfnSequenceCallback=self._sequence,
            pfnDecodePicture=self._decode,
            pfnDisplayPicture=self._display,
        )
        handle = ctypes.c_void_p()
        with device.current():
            self._cuvid("cuvidCreateVideoParser", ctypes.byref(handle), ctypes.byref(params))
        super().__init__(device, handle.value or 0)

    def feed(self, data: bytes, pts: int) -> None:
        """One whole access unit: the callbacks of its picture come before this returns.

        Raises what a callback raised, else CudaError when the parser refuses, DeviceLost."""
        packet = structs.SourceDataPacket(
            flags=structs.ENDOFPICTURE | structs.TIMESTAMP,
            payload_size=len(data),
            payload=ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p),
            timestamp=pts,
        )
        self._callbacks.raised = None
        with self.device.current():
            code = self._cuvid.ask("cuvidParseVideoData", self.live, ctypes.byref(packet))
        raised, self._callbacks.raised = self._callbacks.raised, None
        if raised is not None:
            raise raised
        self._cuvid.check("cuvidParseVideoData", code)

    def _release(self, handle: int) -> None:
        self._cuvid.ask("cuvidDestroyVideoParser", handle)


class _Callbacks:
    """The C side's way to the sink: no exception may cross it, so the first is kept, and ends the unit.

    Refers to neither parser nor sink strongly: both go when their last user does."""

    def __init__(self, sink: PictureSink) -> None:
        self._sink = weakref.ref(sink)
        self.raised: BaseException | None = None

    def sequence(self, _: int | None, found: Any) -> int:
        return self._call(lambda sink: sink.on_sequence(found.contents))

    def decode(self, _: int | None, picture: Any) -> int:
        return self._call(lambda sink: sink.on_picture(picture))

    def display(self, _: int | None, shown: Any) -> int:
        if not shown:  # the end of the stream, which is never announced
            return _ACCEPTED
        return self._call(lambda sink: sink.on_display(shown.contents))

    def _call(self, job: Callable[[PictureSink], int | None]) -> int:
        sink = self._sink()
        if sink is None or self.raised is not None:
            return _REFUSED
        try:
            answer = job(sink)
        except BaseException as error:  # a KeyboardInterrupt too: it would be printed and lost
            self.raised = error
            return _REFUSED
        return _ACCEPTED if answer is None else answer
