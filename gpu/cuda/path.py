"""The path of a stream whose pictures stay in GPU memory: NVDEC, or libav and one copy there; NVENC, or one
copy back and the CPU's encoder. Which of the two is found out as the stream goes."""

from __future__ import annotations

from collections.abc import Callable

from gpu.codec.base import EncoderConfig
from gpu.cuda.driver import Device, DeviceLost
from gpu.cuda.nvdec_or_host import NvdecOrHost
from gpu.cuda.nvenc_or_host import NvencOrHost
from gpu.errors import RelensError
from gpu.intake import SPARE_SHARE
from gpu.path import MediaPath, software
from gpu.types import Codec

# Of a stream with chunks of N pictures: N and a quarter wait, N are in a step, 2 N wait to be encoded, one is
# being encoded and one decoded; the rest is for decoders that give out two at once.
_SPARE = 4


class GpuDecoder(NvdecOrHost):
    """With its name."""

    @property
    def name(self) -> str:
        """What decodes now."""
        return "libav" if self.because else "NVDEC"


class GpuEncoder(NvencOrHost):
    """With its name."""

    def __init__(self, device: Device, config: EncoderConfig) -> None:
        self._software = software(config.codec)
        super().__init__(device, config)

    @property
    def name(self) -> str:
        """What encodes now."""
        return self._software if self.because else "NVENC"


def gpu_path(
    device: Device, frames_per_chunk: int, words: str, lost: Callable[[DeviceLost], None]
) -> MediaPath:
    """For one stream. `lost` is told when it ended because the GPU is lost. Its decoder's and encoder's
    errors: see NvdecOrHost and NvencOrHost."""
    most = 4 * frames_per_chunk + frames_per_chunk // SPARE_SHARE + _SPARE

    def decoder(codec: Codec, max_size: tuple[int, int] | None) -> GpuDecoder:
        return GpuDecoder(device, codec, max_size, most)

    def encoder(config: EncoderConfig) -> GpuEncoder:
        return GpuEncoder(device, config)

    def failed(error: RelensError) -> None:
        if isinstance(error, DeviceLost):
            lost(error)

    return MediaPath(decoder, encoder, words, failed)
