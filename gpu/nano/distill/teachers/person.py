"""The person mask's teacher: MediaPipe Selfie Segmentation, read from its `.tflite` and rebuilt in torch.

The files are `selfie_segmentation.tflite` (made for 256x256) and `selfie_segmentation_landscape.tflite`
(256x144) of the `mediapipe` wheel, both Apache-2.0 (The MediaPipe Authors). They share one network, of the
MobileNetV3 family with a light decoder, and all of it is convolutional, so it takes any size that 16 divides.
Knows nothing of canvases, nor of time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

F32 = NDArray[np.float32]

# tensorflow/lite/schema/schema.fbs: BuiltinOperator, TensorType
_CONV, _DEPTHWISE, _DEQUANTIZE, _CUSTOM = 3, 4, 6, 32
_TYPES = {0: "<f4", 1: "<f2"}


class _Table:
    """A flatbuffer table: fields by their number in the schema."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - self._int("<i", at)

    def _int(self, form: str, at: int) -> int:
        return int(struct.unpack_from(form, self._data, at)[0])

    def _place(self, field: int) -> int:
        entry = 4 + 2 * field
        if entry >= self._int("<H", self._fields):
            return 0
        offset = self._int("<H", self._fields + entry)
        return self._at + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        place = self._place(field)
        return self._int(form, place) if place else 0

    def vector(self, field: int, dtype: str) -> NDArray[np.generic]:
        place = self._place(field)
        if not place:
            return np.zeros(0, dtype)
        start = place + self._int("<I", place)
        return np.frombuffer(self._data, dtype, self._int("<I", start), start + 4)

    def tables(self, field: int) -> list[_Table]:
        place = self._place(field)
        start = place + self._int("<I", place) + 4
        entries = range(start, start + 4 * self._int("<I", start - 4), 4)
        return [_Table(self._data, at + self._int("<I", at)) for at in entries]


def convolutions(path: Path) -> Iterator[tuple[F32, F32]]:
    """(weights [out, height, width, in] as TFLite has them, bias) of each convolution, in order of execution.

    A depthwise convolution's weights are [1, height, width, channels]. Raises ValueError for other files.
    """
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise ValueError(f"{path} is no TFLite model: give selfie_segmentation.tflite of the mediapipe wheel")
    model = _Table(data, struct.unpack_from("<I", data)[0])
    codes = [max(c.number(0, "<b"), c.number(3, "<i")) for c in model.tables(1)]
    graph, buffers = model.tables(2)[0], model.tables(4)
    tensors = graph.tables(0)

    def array(index: int) -> F32:
        tensor = tensors[index]
        raw = buffers[tensor.number(2, "<I")].vector(0, "u1").tobytes()
        values = np.frombuffer(raw, _TYPES[tensor.number(1, "<b")])
        return values.astype(np.float32).reshape([int(n) for n in tensor.vector(0, "<i4")])

    half: dict[int, int] = {}  # the weights are kept in float16: what is dequantised -> what it is made of
    for operator in graph.tables(3):
        code = codes[operator.number(0, "<I")]
        inputs = [int(i) for i in operator.vector(1, "<i4")]
        if code == _DEQUANTIZE:
            half[int(operator.vector(2, "<i4")[0])] = inputs[0]
        elif code in (
            _CONV,
            _DEPTHWISE,
            _CUSTOM,
        ):  # the one custom operator is the last, transposed convolution
            _, weights, bias = (half.get(i, i) for i in inputs)
            yield array(weights), array(bias)


class Same(nn.Conv2d):
    """A convolution padded as TFLite's SAME; with stride 2 and even sizes, one less before than after."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, 0, groups=groups)
        before = (kernel - stride) // 2
        self.pads = (before, kernel - stride - before) * 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.pads) if any(self.pads) else x)


class Squeeze(nn.Module):
    """How much of each channel passes, from the means over the picture: [B, C, H, W] -> [B, C, 1, 1]."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, hidden, 1)
        self.up = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Bottleneck(nn.Module):
    """MobileNetV3's block: widen, depthwise, squeeze and excite, narrow; a shortcut where sizes allow it."""

    def __init__(
        self,
        inputs: int,
        wide: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        squeeze: int = 0,
        hard: bool = True,
    ) -> None:
        super().__init__()
        self.active = F.hardswish if hard else F.relu
        self.widen = nn.Conv2d(inputs, wide, 1)
        self.depthwise = Same(wide, wide, kernel, stride, wide)
        self.squeeze = Squeeze(wide, squeeze) if squeeze else None
        self.narrow = nn.Conv2d(wide, outputs, 1)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.active(self.depthwise(self.active(self.widen(x))))
        if self.squeeze is not None:
            y = y * self.squeeze(y)
        y = self.narrow(y)
        return x + y if self.shortcut else y


class Merge(nn.Module):
    """One step of the decoder: twice the size, and as much of the encoder's features there as is wanted."""

    def __init__(self, deep: int, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(deep, channels, 1)
        self.squeeze = Squeeze(channels, channels)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.depthwise = Same(channels, channels, 3, 1, channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        # bilinear upsampling and a 1x1 convolution commute; this order is a quarter of the work
        deep = F.interpolate(self.narrow(deep), scale_factor=2.0, mode="bilinear")
        x = F.relu(self.mix(skip * self.squeeze(skip + deep) + deep))
        return x + F.relu(self.depthwise(x))


class Selfie(nn.Module):
    """Pictures [B, 3, H, W], RGB 0..1, sides multiples of 16 -> logits of the person mask [B, 1, H, W].

    The modules are declared in the order in which the TFLite graph runs them: `load` relies on it.
    """

    def __init__(self, inputs: int = 3) -> None:
        super().__init__()
        self.stem = Same(inputs, 16, 3, 2)
        self.encode2 = Bottleneck(
            16, 16, 16, 3, stride=2, squeeze=8, hard=False
        )  # a quarter of the picture's size
        self.encode3 = nn.Sequential(
            Bottleneck(16, 72, 24, 3, stride=2, hard=False),
            Bottleneck(24, 88, 24, 3, hard=False),
        )
        self.encode4 = nn.Sequential(
            Bottleneck(24, 96, 32, 5, stride=2, squeeze=24),
            Bottleneck(32, 128, 32, 5, squeeze=32),
            Bottleneck(32, 128, 32, 5, squeeze=32),
            Bottleneck(32, 96, 32, 5, squeeze=24),
            Bottleneck(32, 96, 32, 5, squeeze=24),
        )
        self.context = nn.Conv2d(32, 128, 1)
        self.attend = nn.Conv2d(32, 128, 1)
        self.merge3 = Merge(128, 24)
        self.merge2 = Merge(24, 16)
        self.merge1 = Merge(16, 16)
        self.out = nn.ConvTranspose2d(16, 1, 2, 2)

    def forward(self, picture: Tensor) -> Tensor:
        return self.out(self.after_stem(F.hardswish(self.stem(picture))))

    def after_stem(self, half: Tensor) -> Tensor:
        """The stem's features [B, 16, H/2, W/2] -> those of the last step but one, alike in shape."""
        quarter = self.encode2(half)
        eighth = self.encode3(quarter)
        deep = self.encode4(eighth)
        deep = F.relu(self.context(deep)) * torch.sigmoid(self.attend(deep.mean((2, 3), keepdim=True)))
        return self.merge1(self.merge2(self.merge3(deep, eighth), quarter), half)


def segment(network: Selfie, picture: F32, size: tuple[int, int] = (256, 256)) -> F32:
    """The teacher's mask [H, W], 0..1, of a picture RGB [H, W, 3] in 0..1.

    As MediaPipe makes it: at the model's (width, height) whatever the picture's shape, and bilinear back.
    """
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        mask = torch.sigmoid(network(torch.from_numpy(small.transpose(2, 0, 1)[None].copy())))[0, 0].numpy()
    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def load(path: Path) -> Selfie:
    """The network with the weights of that `.tflite`. Raises ValueError if they are not of this network."""
    network = Selfie()
    modules = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    stored = list(convolutions(path))
    if len(stored) != len(modules):
        raise ValueError(
            f"{path} has {len(stored)} convolutions instead of {len(modules)}: no selfie segmentation"
        )
    with torch.no_grad():
        for module, (weights, bias) in zip(modules, stored, strict=True):
            depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
            # [out, h, w, in] -> [out, in, h, w]; depthwise [1, h, w, C] -> [C, 1, h, w]; the last one has
            # one output: its [1, h, w, in] turns into torch's transposed [in, 1, h, w] like a depthwise one
            apart = depthwise or isinstance(module, nn.ConvTranspose2d)
            array = weights.transpose(3, 0, 1, 2) if apart else weights.transpose(0, 3, 1, 2)
            if array.shape != tuple(module.weight.shape):
                raise ValueError(f"{path}: weights {array.shape} where {tuple(module.weight.shape)} belong")
            module.weight.copy_(torch.from_numpy(array.copy()))
            module.bias.copy_(torch.from_numpy(bias))
    return network.eval()
