"""NVENC while a session can be had, the CPU's encoder from then on: a stream is not lost to a full GPU."""

from __future__ import annotations

from gpu.codec.base import ENCODES, EncoderConfig
from gpu.cuda.driver import Device
from gpu.cuda.driver_errors import DeviceLost, DeviceTimeout
from gpu.cuda.frame import DeviceFrame
from gpu.cuda.from_device import HostEncoder
from gpu.cuda.nvenc import NvencEncoder
from gpu.errors import DeviceError
from gpu.types import EncodedFrame, Frame


class NvencOrHost:
    """An Encoder for device and host frames. Begins with NVENC, where that makes the codec, and goes over to
    libx264 or libvpx for the rest of the stream when NVENC opens no session: at the first picture, or at a
    new size later on. The picture at which it goes over is a keyframe; none is lost."""

    def __init__(self, device: Device, config: EncoderConfig, refresh_frames: int = 0) -> None:
        """As NvencEncoder. Raises DeviceError for a codec that neither makes."""
        self._device, self._config = device, config
        self._target_bps = config.clamp(config.bitrate_bps)
        self._because, self._closed = "", False
        self._encoder: NvencEncoder | HostEncoder
        try:
            self._encoder = NvencEncoder(device, config, refresh_frames=refresh_frames)
        except (DeviceLost, DeviceTimeout):
            raise
        except DeviceError as error:
            self._encoder = self._host(error)

    @property
    def because(self) -> str:
        """Why NVENC does not encode this stream; "" while it does."""
        return self._because

    @property
    def target_bps(self) -> int:
        return self._encoder.target_bps

    def set_bitrate(self, bps: int) -> None:
        self._target_bps = self._config.clamp(bps)
        self._encoder.set_bitrate(bps)

    def begin(self, frame: DeviceFrame) -> None:
        """A frame that `encode` will get soon, as HostEncoder.begin; NVENC needs no such word."""
        if isinstance(self._encoder, HostEncoder):
            self._encoder.begin(frame)

    def encode(self, frame: Frame | DeviceFrame, keyframe: bool = False) -> list[EncodedFrame]:
        """As gpu.codec.base.Encoder. Raises FrameError, DeviceTimeout, DeviceLost; DeviceError where NVENC
        cannot and the CPU does not make the codec."""
        try:
            return self._encoder.encode(frame, keyframe)
        except (DeviceLost, DeviceTimeout):
            raise
        except DeviceError as error:
            if isinstance(self._encoder, HostEncoder) or self._closed:
                raise
            self._encoder.close()
            self._encoder = self._host(error)
        return self._encoder.encode(frame, keyframe)

    def _host(self, error: DeviceError) -> HostEncoder:
        if self._config.codec not in ENCODES:
            raise error
        encoder = HostEncoder(self._device, self._config)
        encoder.set_bitrate(self._target_bps)
        self._because = str(error)
        return encoder

    def close(self) -> None:
        self._closed = True
        self._encoder.close()
