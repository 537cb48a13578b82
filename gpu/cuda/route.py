"""Which way a stream goes on a machine: who decodes, who edits, who encodes, and why not otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from gpu.codec.base import ENCODES
from gpu.cuda.report import GpuMachine, GpuReport
from gpu.types import Codec

_SOFTWARE = {"h264": "libx264", "vp8": "libvpx"}  # what encodes on the CPU


@dataclass(frozen=True, slots=True)
class Route:
    """One stream's way. `on_gpu`: pictures stay in GPU memory from the decoder to the encoder's side."""

    decode: str
    edit: str
    encode: str
    on_gpu: bool
    because: tuple[str, ...] = ()  # for each part that is not the GPU's, why

    @property
    def words(self) -> str:
        """ "decode NVDEC, edit CUDA on NVIDIA L4, encode NVENC"."""
        why = f", because {'; '.join(self.because)}" if self.because else ""
        return f"decode {self.decode}, edit {self.edit}, encode {self.encode}{why}"


def route_of(machine: GpuMachine, codec: Codec, device: str, computes_on_gpu: bool) -> Route:
    """The way of a stream of `codec` through a model that runs on `device` (its words for people).

    A model on the CPU keeps all of it there: its pictures would cross the bus twice for nothing. Sent back is
    `codec`, or H.264 where nothing here encodes it.
    """
    if not computes_on_gpu:
        back, why = _software(codec)
        why = (*why, "the model computes on the CPU, so pictures stay in its memory") if machine.gpus else why
        return Route("libav on the CPU", device, f"{back} on the CPU", False, why)
    gpu = usable(machine)
    if gpu is None:
        return Route(
            "libav on the CPU",
            "not possible",
            f"{_software(codec)[0]} on the CPU",
            False,
            (refusal(machine),),
        )
    because: list[str] = []
    decode = "NVDEC"
    if gpu.decoder(codec) is None:
        decode = "libav on the CPU, one copy to the GPU"
        because.append(gpu.decode_problem or f"the {gpu.name} decodes no {codec}")
    encode = "NVENC"
    if gpu.encoder(codec) is None and (gpu.encoder("h264") is None or codec in ENCODES):
        back, why = _software(codec)
        encode = f"{back} on the CPU, one copy from the GPU"
        lacks = f"encodes no {codec}" if gpu.encodes else "has no NVENC"
        because += [gpu.encode_problem or f"the {gpu.name} {lacks}", *why]
    elif gpu.encoder(codec) is None:
        encode = "NVENC as h264"
        because.append(f"the {gpu.name} encodes no {codec}")
    return Route(decode, f"CUDA on the {gpu.name}", encode, True, tuple(because))


def usable(machine: GpuMachine) -> GpuReport | None:
    """The first GPU that takes relens' kernels."""
    return next((gpu for gpu in machine.gpus if not gpu.kernel_problem), None)


def refusal(machine: GpuMachine) -> str:
    """Why no GPU of this machine can be used."""
    return machine.problem or next((gpu.kernel_problem for gpu in machine.gpus), "there is no GPU")


def _software(codec: Codec) -> tuple[str, tuple[str, ...]]:
    if codec in _SOFTWARE:
        return _SOFTWARE[codec], ()
    return "libx264", (f"{codec} is not encoded in real time without a GPU that does",)
