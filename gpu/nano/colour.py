"""BT.601 limited range between RGB and the canvas' planes, all as 0..1 of a byte. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# ITU-R BT.601-7 §2.5: Kr, Kb; luma 16..235, chroma 16..240
_KR, _KB = 0.299, 0.114
_Y, _C = 219 / 255, 224 / 255
_TO_YUV = np.array(
    [
        [_Y * _KR, _Y * (1 - _KR - _KB), _Y * _KB],
        [-_C * _KR / (2 * (1 - _KB)), -_C * (1 - _KR - _KB) / (2 * (1 - _KB)), _C / 2],
        [_C / 2, -_C * (1 - _KR - _KB) / (2 * (1 - _KR)), -_C * _KB / (2 * (1 - _KR))],
    ],
    np.float32,
)
_TO_RGB = np.linalg.inv(_TO_YUV).astype(np.float32)
_OFFSET = np.array([16 / 255, 128 / 255, 128 / 255], np.float32)


def rgb_to_planes(image: F32) -> tuple[F32, F32]:
    """[2h, 2w, 3] -> luma [2h, 2w] and chroma [2, h, w] (mean of four pixels)."""
    yuv = image @ _TO_YUV.T + _OFFSET
    height, width = image.shape[:2]
    chroma = yuv[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean((1, 3)).transpose(2, 0, 1)
    return np.ascontiguousarray(yuv[..., 0]), np.ascontiguousarray(chroma)


def planes_to_rgb(luma: F32, chroma: F32) -> F32:
    """luma [2h, 2w], chroma [2, h, w] -> [2h, 2w, 3] clipped to 0..1; chroma is repeated."""
    u, v = (np.repeat(np.repeat(plane, 2, 0), 2, 1) for plane in chroma)
    return np.clip((np.stack([luma, u, v], -1) - _OFFSET) @ _TO_RGB.T, 0, 1).astype(np.float32)
