"""The network of `nano` in PyTorch: what is trained and exported. Needs the `distill` extra.

`Core` edits one canvas (luma [2h, 2w], chroma [h, w]); `Step` is the whole step as it is exported: source
planes in, edited planes and the next cache out. Knows nothing of teachers, data or engines.

The convolutions are a third of a naive graph's time on a CPU: what is here is shaped so that planes are never
sliced or interpolated at full size. Strided convolutions fold, sub-pixel convolutions unfold.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.edits import EDIT_NAMES

EDITS = len(EDIT_NAMES)
RAIN, SNOW = EDIT_NAMES.index("rain"), EDIT_NAMES.index("snow")

HIDDEN = 64
CODE = EDITS + HIDDEN  # the conditioning code: the amounts themselves, and what they mean together
FULL, HALF, QUARTER = 16, 24, 48  # channels at [h, w], half and quarter of it
BLOCKS = 2  # residual blocks at a quarter: depth there is what brings strokes back
SHARE_BIAS = -3.0  # the cache starts nearly shut
STILL = 10.0  # the cache is half shut at a motion of 0.15: 5 levels of 255 over 4x4 pixels, 2 of sensor noise


def leaky(x: Tensor) -> Tensor:
    """Never quite shut: an edit that closes a channel early in training can open it again."""
    return F.leaky_relu(x, 0.1)


class Film(nn.Module):  # type: ignore[misc,unused-ignore]
    """Scale and shift channels by the conditioning code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Linear(CODE, channels)
        self.shift = nn.Linear(CODE, channels)
        for layer in (self.scale, self.shift):
            nn.init.normal_(layer.weight, std=0.15)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """x [B, C, h, w], code [B, CODE]."""
        return cast(Tensor, x * (1 + self.scale(code)[:, :, None, None]) + self.shift(code)[:, :, None, None])


class Block(nn.Module):  # type: ignore[misc,unused-ignore]
    """Residual: convolve, FiLM, ReLU, convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = Film(channels)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.second.weight, std=0.02)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return leaky(x + self.second(leaky(self.film(self.first(x), code))))


def filter_bank() -> Tensor:
    """[FULL,1,6,6]: the four pixels of a block, each against its surround, and the slopes
    of the block in eight directions. From noise, lines would take hours to appear."""
    rows, cols = torch.meshgrid(torch.arange(6) - 2.5, torch.arange(6) - 2.5, indexing="ij")
    bell = torch.exp(-(rows**2 + cols**2) / (2 * 1.2**2))
    bell = bell / bell.sum()
    kernels: list[Tensor] = []
    pixels = [(2, 2), (2, 3), (3, 2), (3, 3)]
    for i, j in pixels:
        pixel = torch.zeros(6, 6)
        pixel[i, j] = 1.0
        kernels.append(pixel)
    kernels += [9.0 * (bell - pixel) for pixel in kernels[:4]]
    for angle in torch.arange(8) * (torch.pi / 4):
        slope = bell * (rows * torch.sin(angle) + cols * torch.cos(angle))
        kernels.append(slope * (10.0 / slope.abs().sum()))
    return torch.stack(kernels)[:, None]


class Core(nn.Module):  # type: ignore[misc,unused-ignore]
    """Edits one canvas."""

    def __init__(self) -> None:
        super().__init__()
        self.together = nn.Sequential(
            nn.Linear(EDITS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
        )
        self.stem_luma = nn.Conv2d(1, FULL, 6, stride=2, padding=2)
        self.stem_chroma = nn.Conv2d(2, FULL, 3, padding=1)
        self.stem_texture = nn.Conv2d(1, FULL, 4, stride=2, padding=1, bias=False)
        self.stem_half = nn.Conv2d(FULL, HALF, 3, stride=2, padding=1)
        self.stem_place = nn.Conv2d(2, HALF, 1, bias=False)
        self.stem_quarter = nn.Conv2d(HALF, QUARTER, 3, stride=2, padding=1)
        self.film_half, self.film_quarter = Film(HALF), Film(QUARTER)
        self.blocks = nn.ModuleList(Block(QUARTER) for _ in range(BLOCKS))
        self.widen_half = nn.Conv2d(QUARTER, 4 * HALF, 1)
        self.decode = nn.Conv2d(HALF, HALF, 3, padding=1)
        self.film_decode = Film(HALF)
        self.film_detail = Film(FULL)
        self.gate = nn.Conv2d(HALF, 4 * FULL, 1)
        self.add = nn.Conv2d(HALF, 4 * FULL, 1)
        self.free_luma = nn.Conv2d(HALF, 16, 3, padding=1)
        self.free_chroma = nn.Conv2d(HALF, 8, 1)
        self.detail_luma = nn.Conv2d(FULL, 4, 1)
        self.detail_chroma = nn.Conv2d(FULL, 2, 1)
        self.see_motion = nn.Conv2d(1, HALF, 3, padding=1)
        self.share = nn.Conv2d(HALF, 16, 1)
        self.curve = nn.Linear(CODE, 4)  # luma gain and offset, chroma gain, detail gain
        outputs = (
            self.gate,
            self.add,
            self.free_luma,
            self.free_chroma,
            self.detail_luma,
            self.detail_chroma,
        )
        for output in (*outputs, self.share, self.curve):
            nn.init.normal_(output.weight, std=0.03)
            nn.init.zeros_(cast(Tensor, output.bias))
        with torch.no_grad():
            self.stem_luma.weight.copy_(filter_bank())
            self.stem_chroma.weight[4:] *= 0.1
            self.stem_texture.weight.mul_(0.3)
            for layer in (self.stem_luma, self.stem_chroma):
                cast(Tensor, layer.bias).zero_()
        self.start_lines()

    def start_lines(self) -> None:
        """Let even slopes draw light lines and odd ones dark lines, and let only drawings with such lines use
        them. Without this, edits with light and with dark lines pull the same weights both ways."""
        opened = {"neon": "light", "blueprint": "light", "pencil": "dark", "ink": "dark", "cartoon": "dark"}
        with torch.no_grad():
            weight, film = self.detail_luma.weight, self.film_detail
            weight[:, 8::2] += 0.2
            weight[:, 9::2] -= 0.2
            for pixel in range(4):
                weight[pixel, 4 + pixel] -= 0.3
            film.scale.weight.zero_()
            film.shift.weight.zero_()
            film.scale.bias[4:] = -1.0
            for name, lines in opened.items():
                edit = EDIT_NAMES.index(name)
                film.scale.weight[8 if lines == "light" else 9 :: 2, edit] = 1.0
                if lines == "dark":
                    film.scale.weight[4:8, edit] = 1.0

    def conditioning(self) -> list[nn.Parameter]:
        """Parameters that tell edits apart: each edit is rare in a batch, so they learn faster."""
        films = [m for m in self.modules() if isinstance(m, Film)]
        choosing = (
            *films,
            self.together,
            self.curve,
            self.gate,
            self.add,
            self.detail_luma,
            self.detail_chroma,
        )
        return [p for module in choosing for p in module.parameters()]

    def forward(
        self, luma: Tensor, chroma: Tensor, cond: Tensor, texture: Tensor, coords: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """luma [B,1,2h,2w], chroma [B,2,h,w] in 0..1, cond [B,N], texture [B,1,2h,2w], coords [B,2,h/2,w/2].

        Returns edited luma and chroma (not clipped), the gain for detail finer than the canvas [B,1,1,1], and
        the features [B,HALF,h/2,w/2] from which `cache_share` decides.
        """
        code = torch.cat([cond, self.together(cond)], 1)
        luma, chroma = luma - 0.5, chroma - 0.5
        stem = self.stem_luma(luma) + self.stem_chroma(chroma) + self.stem_texture(texture)
        full = F.relu(stem)  # the same for every edit: an amount that shuts a line here could not reopen it
        half = leaky(self.film_half(self.stem_half(full) + self.stem_place(coords), code))
        x = leaky(self.film_quarter(self.stem_quarter(half), code))
        for block in self.blocks:
            x = block(x, code)
        x = half + F.pixel_shuffle(self.widen_half(x), 2)
        x = leaky(self.film_decode(self.decode(x), code))
        gated = full + full * F.pixel_shuffle(self.gate(x), 2) + F.pixel_shuffle(self.add(x), 2)
        gated = leaky(self.film_detail(gated, code))
        curve = self.curve(code)[:, :, None, None]
        new_luma = luma * (1 + curve[:, 0:1]) + (curve[:, 1:2] + 0.5)
        new_luma = (
            new_luma + F.pixel_shuffle(self.detail_luma(gated), 2) + F.pixel_shuffle(self.free_luma(x), 4)
        )
        new_chroma = chroma * (1 + curve[:, 2:3]) + 0.5
        new_chroma = new_chroma + self.detail_chroma(gated) + F.pixel_shuffle(self.free_chroma(x), 2)
        return new_luma, new_chroma, 1 + curve[:, 3:4], x

    def cache_share(self, features: Tensor, motion: Tensor) -> Tensor:
        """[B,1,2h,2w] in 0..1: how much of the frame before stays, from features and motion [B,1,h/2,w/2]."""
        seen = F.relu(features + self.see_motion(motion))
        # where anything near moved more than noise does, nothing stays: what lags is worse than what flickers
        still = (2.0 - STILL * F.max_pool2d(motion, 5, 1, 2)).clamp(0.0, 1.0)
        return F.pixel_shuffle(torch.sigmoid(self.share(seen) + SHARE_BIAS) * still, 4)


def moved(source: Tensor, previous: Tensor) -> Tensor:
    """[B,1,2h,2w] twice -> [B,1,h/2,w/2]: how much the source changed since the frame before."""
    return F.avg_pool2d((source - previous).abs(), 4) * 8.0


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear to the size of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def to_bytes(x: Tensor) -> Tensor:
    """0..1 -> uint8, rounded half to even as every engine does."""
    return torch.round(x.clamp(0.0, 1.0) * 255.0).to(torch.uint8)


class Step(nn.Module):  # type: ignore[misc,unused-ignore]
    """The exported step. `native`: the source is the canvas, nothing is resampled."""

    def __init__(self, core: Core, native: bool) -> None:
        super().__init__()
        self.core = core
        self.native = native

    def forward(
        self,
        y: Tensor,  # uint8 [1,1,H,W]
        uv: Tensor,  # uint8 [1,2,H/2,W/2]
        cond: Tensor,  # [1,N] amounts 0..1
        strength: Tensor,  # [1,1,1,1]
        keep: Tensor,  # [1,1,1,1] 1: the cache may be used, 0: it is stale (first frame, edit changing)
        texture: Tensor,  # [1,1,2h,2w]
        coords: Tensor,  # [1,2,h/2,w/2]
        particles: Tensor,  # uint8 [1,1,H,W] cover of rain or snow
        cache_source: Tensor,  # [1,1,2h,2w] canvas luma of the frame before
        cache_luma: Tensor,  # [1,1,2h,2w] edited canvas of the frame before
        cache_chroma: Tensor,  # [1,2,h,w]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        luma, chroma = y.float() / 255.0, uv.float() / 255.0
        source = luma if self.native else resize(luma, cache_source)
        source_chroma = chroma if self.native else resize(chroma, cache_chroma)
        new, new_chroma, gain, features = self.core(source, source_chroma, cond, texture, coords)
        share = self.core.cache_share(features, moved(source, cache_source)) * keep
        edited = new + share * (cache_luma - new)
        edited_chroma = new_chroma + F.avg_pool2d(share, 2) * (cache_chroma - new_chroma)
        if self.native:
            out, out_chroma = edited, edited_chroma
        else:
            out = resize(edited - gain * source, luma) + gain * luma
            out_chroma = resize(edited_chroma - source_chroma, chroma) + chroma
        # drops are a little brighter than grey, flakes are white; both take the colour away
        rain, snow = cond[:, RAIN : RAIN + 1, None, None], cond[:, SNOW : SNOW + 1, None, None]
        cover = particles.float() * ((0.55 * rain + 0.95 * snow).clamp(0.0, 1.0) / 255.0)
        white = 0.72 + 0.16 * snow
        out = out + cover * (white - out)
        out_chroma = out_chroma + F.avg_pool2d(cover, 2) * (0.5 - out_chroma)
        out = luma + strength * (out - luma)
        out_chroma = chroma + strength * (out_chroma - chroma)
        return to_bytes(out), to_bytes(out_chroma), source, edited, edited_chroma
