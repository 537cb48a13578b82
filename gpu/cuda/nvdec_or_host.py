"""NVDEC while the GPU decodes a stream, libav from then on: a stream is not lost to what a GPU lacks."""

from __future__ import annotations

from gpu.cuda.driver import Device, Stream
from gpu.cuda.driver_errors import DeviceLost, DeviceTimeout
from gpu.cuda.frame import DeviceFrame
from gpu.cuda.nvdec import NvdecDecoder
from gpu.cuda.to_device import HostDecoder
from gpu.errors import DeviceError, FrameError
from gpu.types import Codec, EncodedFrame


class NvdecOrHost:
    """A Decoder that gives device frames. Begins with NVDEC, where that has the codec, and goes over to
    libav, with one copy to the GPU a picture, for the rest of the stream when NVDEC cannot: for want of
    memory, or at a size, bit depth or chroma format that only the CPU does. At a keyframe no picture is lost.
    """

    def __init__(
        self, device: Device, codec: Codec, max_size: tuple[int, int] | None = None, most: int = 8
    ) -> None:
        """As NvdecDecoder. Raises DeviceError when neither decodes `codec`."""
        self._device, self._codec, self._max_size, self._most = device, codec, max_size, most
        self._because, self._closed = "", False
        self._stream: Stream | None = None  # of the copies to the GPU
        self._decoder: NvdecDecoder | HostDecoder
        try:
            self._decoder = NvdecDecoder(device, codec, max_size, most)
        except (DeviceLost, DeviceTimeout):
            raise
        except DeviceError as error:
            self._decoder = self._host(error)

    @property
    def because(self) -> str:
        """Why NVDEC does not decode this stream; "" while it does."""
        return self._because

    @property
    def waiting_for_keyframe(self) -> bool:
        return self._decoder.waiting_for_keyframe

    def decode(self, encoded: EncodedFrame) -> list[DeviceFrame]:
        """As gpu.codec.base.Decoder. Raises FrameError; DeviceTimeout, DeviceLost; DeviceError where libav
        cannot either."""
        if self._closed:
            raise DeviceError("this decoder is closed: open another")
        try:
            return self._decoder.decode(encoded)
        except (DeviceLost, DeviceTimeout):
            raise
        except DeviceError as error:
            if isinstance(self._decoder, HostDecoder):
                raise
            self._decoder.close()
            self._decoder = self._host(error)
            if not encoded.is_keyframe:
                raise FrameError(f"this stream goes over to libav: a keyframe is needed ({error})") from error
        return self._decoder.decode(encoded)

    def _host(self, error: DeviceError) -> HostDecoder:
        if self._stream is None:
            self._stream = self._device.stream()
        decoder = HostDecoder(self._device, self._stream, self._codec, self._max_size, self._most)
        self._because = str(error)
        return decoder

    def close(self) -> None:
        """Give everything back; pictures handed out stay. Idempotent."""
        self._closed = True
        self._decoder.close()
        if self._stream is not None:
            self._stream.close()
