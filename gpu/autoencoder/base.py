"""What an autoencoder of Wan 2.1's latents is, streaming. Knows shapes and ranges, no network. No torch here.

How frames and latents meet. Wan's first latent is one frame, every further one is four (Wan2.1, vae.py). A
stream is given four frames a latent from the start, and gives four back:

    frames    0 1 2 3 | 4 5 6 7 | 8 9 10 11 | ...
    latents         0 |       1 |         2 | ...   latent 0 is of frame 3 alone, latent k of frames 4k..4k+3

So the network sees what it was trained on, a still latent first, from its first block on; there is no latent
to treat in another way, no further block, nothing to drop, and no latency. What it costs: the first three
frames that a stream gives back (`COPIES`) are copies of the fourth, an eighth of a second when a stream is
opened. Who fades an edit in shows the source in their place; who compares source and edit, leaves them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from gpu.errors import ModelError
from gpu.wan.config import VAE_STRIDE

LATENT_CHANNELS = 16
FRAMES = VAE_STRIDE[0]  # a latent, as a stream counts them
COPIES = FRAMES - 1  # frames at a stream's beginning that show the one after them
STRIDE = VAE_STRIDE[1]  # pixels a latent's row and column
# Of each channel of Wan 2.1's latents (Wan2.1, wan/modules/vae.py, WanVAE; the same in diffusers' config).
# Networks see (latent - mean) / std.
LATENT_MEAN = (
    *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
    *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
)
LATENT_STD = (
    *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
    *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
)

# What black and white are to Wan's autoencoder. "signed": -1 and 1, what it was trained on itself. "unit": 0
# and 1, what LiveEdit gave it in all three of its trainings (`ToTensor` without `Normalize` in trainer/mm.py
# and trainer/distillation.py) and takes from it (`wo_scale=True` in inference-mm.py): its network sees and
# makes the latents of pale pictures, and was never shown others.
Pixels = Literal["signed", "unit"]
LIVEEDIT_PIXELS: Pixels = "unit"


class AutoencoderStream(Protocol):
    """One stream of frames and its latents, both ways. The two ways share nothing. One thread at a time.

    Tensors are torch's; what is given may lie anywhere and have any float type, what comes back is float32 on
    the autoencoder's device. On CUDA the work is queued on the current stream, and not waited for."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def encode(self, frames: Any) -> Any:
        """frames [T, 3, height, width], RGB in 0..1, T a multiple of 4, to latents [1, 16, T/4, height/8,
        width/8], normalised as the network wants them: the same ones however frames are split over calls.

        Raises ModelError for another shape, or once closed; NoMemory or DeviceError where the device fails,
        and then the stream is of no more use."""
        ...

    def decode(self, latents: Any) -> Any:
        """latents [1, 16, L, height/8, width/8] to frames [4L, 3, height, width] in 0..1: frame k is that of
        the k-th frame encoded, the first three being copies of the fourth.

        Raises ModelError for another shape, or once closed; NoMemory or DeviceError where the device fails,
        and then the stream is of no more use."""
        ...

    def close(self) -> None:
        """Let the state go. Idempotent."""
        ...


class Autoencoder(Protocol):
    """The weights, ready to run. `open` from any thread."""

    @property
    def name(self) -> str:
        """For people: "TAEW2.1, float16"."""
        ...

    @property
    def device(self) -> str:
        """torch's name of where it runs: "cpu", "cuda:0"."""
        ...

    def open(self, width: int, height: int) -> AutoencoderStream:
        """A stream of pictures of that size. Raises ModelError unless both are multiples of 8, NoMemory."""
        ...

    def state_bytes(self, width: int, height: int) -> int:
        """What one stream holds between calls, once both its ways have run."""
        ...


def check_size(width: int, height: int) -> None:
    """Raises ModelError for a picture that is no whole number of latent rows and columns."""
    if width % STRIDE or height % STRIDE or min(width, height) < STRIDE:
        raise ModelError(
            f"a picture of {width}x{height} has no whole latent: scale it to multiples of {STRIDE} both ways"
        )


def check_frames(shape: Sequence[int], width: int, height: int) -> int:
    """Latents that frames of that shape make. Raises ModelError for another size, or frames not in fours."""
    if len(shape) != 4 or tuple(shape[1:]) != (3, height, width):
        raise ModelError(
            f"frames of shape {list(shape)} on a stream of {width}x{height}: give [T, 3, {height}, {width}], "
            "or open a stream of their size"
        )
    if not shape[0] or shape[0] % FRAMES:
        raise ModelError(f"{shape[0]} frames at once: give a multiple of {FRAMES}, as many as a latent is of")
    return shape[0] // FRAMES


def check_latents(shape: Sequence[int], width: int, height: int) -> int:
    """Latents in a tensor of that shape. Raises ModelError for another size, or none."""
    rows, columns = height // STRIDE, width // STRIDE
    fits = len(shape) == 5 and (shape[0], shape[1], *shape[3:]) == (1, LATENT_CHANNELS, rows, columns)
    if not fits or not shape[2]:
        raise ModelError(
            f"latents of shape {list(shape)} on a stream of {width}x{height}: give "
            f"[1, {LATENT_CHANNELS}, L, {rows}, {columns}], or open a stream of their size"
        )
    return shape[2]
