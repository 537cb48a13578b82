"""Host pictures onto a canvas and back, held to the twins that the CUDA kernels are held to."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from moving import picture, same  # noqa: E402

from gpu.cuda import twins  # noqa: E402
from gpu.models.liveedit_canvas import CELL, Canvas, change_mask  # noqa: E402
from gpu.models.liveedit_fade import Fade  # noqa: E402
from gpu.types import Frame  # noqa: E402

CANVAS = (64, 48)


def frames(width: int, height: int, full_range: bool = False) -> list[Frame]:
    return [picture(i, width, height, full_range=full_range) for i in range(4)]


@pytest.mark.parametrize("size", [(160, 90), (64, 48), (48, 64), (30, 22)])
@pytest.mark.parametrize("full_range", [False, True])
def test_onto_and_over_are_the_twins(size: tuple[int, int], full_range: bool) -> None:
    came = frames(*size, full_range)
    canvas = Canvas(*size, CANVAS)
    shown = canvas.onto(came)
    rng = np.random.default_rng(3)
    edited = rng.uniform(0, 1, shown.shape).astype(np.float32)
    mask = rng.uniform(-0.5, 1, (4, CANVAS[1], CANVAS[0])).clip(0, 1).astype(np.float32)
    strengths = [1.0, 0.7, 0.3, 0.0]
    made = canvas.over(came, torch.from_numpy(edited), shown, torch.from_numpy(mask), strengths)
    for i, (source, out) in enumerate(zip(came, made, strict=True)):
        chroma = twins.interleave(source.u, source.v)
        wanted = twins.nv12_to_rgb(source.y, chroma, canvas.place, False, full_range)
        assert np.abs(shown[i].numpy() - wanted).max() < 2e-5
        luma, chroma = twins.composite(
            source.y, chroma, edited[i], wanted, mask[i] * strengths[i], 1.0, canvas.place, False, full_range
        )
        for ours, theirs in ((out.y, luma), (out.u, chroma[..., 0]), (out.v, chroma[..., 1])):
            apart = np.abs(ours.astype(int) - theirs.astype(int))
            assert apart.max() <= 1
            assert (apart > 0).mean() < 0.01, "float32 against float64, at halves only"
        assert (out.pts, out.arrived_ns, out.full_range) == (source.pts, source.arrived_ns, full_range)
    assert same(made[3], came[3]), "strength 0 is the source"


def test_where_nothing_changed_the_source_stays_to_the_byte() -> None:
    came = frames(160, 96)
    canvas = Canvas(160, 96, CANVAS)
    shown = canvas.onto(came)
    edited = shown + 0.01 * torch.randn(shown.shape, generator=torch.Generator().manual_seed(1))
    edited[:, 0, :, : CANVAS[0] // 2] = 1.0 - edited[:, 0, :, : CANVAS[0] // 2]
    mask = change_mask(edited, shown)
    assert mask[..., -2 * CELL :].max() == 0
    assert mask[..., 2 * CELL].mean() > 0.9
    for source, out in zip(came, canvas.over(came, edited, shown, mask, [1.0] * 4), strict=True):
        assert np.array_equal(out.y[:, -40:], source.y[:, -40:])
        assert np.array_equal(out.u[:, -20:], source.u[:, -20:])
        assert not np.array_equal(out.y[:, :40], source.y[:, :40])


def test_what_is_not_a_number_is_not_shown() -> None:
    came = frames(160, 96)
    canvas = Canvas(160, 96, CANVAS)
    shown = canvas.onto(came)
    edited = torch.full_like(shown, float("nan"))
    made = canvas.over(came, edited, shown, change_mask(edited, shown), [1.0] * 4)
    assert all(same(a, b) for a, b in zip(made, came, strict=True))


def test_a_fade_goes_by_the_time_of_pictures() -> None:
    fade = Fade()
    assert fade.at(500) == 0.0
    fade.aim(1.0, 400)  # 36000 ticks
    assert 0 < fade.at(1000) <= 0.02
    assert fade.at(1000 + 18_000) == pytest.approx(0.5)
    assert fade.at(1000) == pytest.approx(0.5), "time that goes back changes nothing"
    fade.aim(0.25, 400)  # from where it is
    assert fade.at(20_000) == pytest.approx(0.5, abs=0.02)
    assert fade.at(20_000 + 18_000) == pytest.approx(0.375)
    assert fade.at(10**9) == 0.25
    fade.aim(0.0, 0)
    assert fade.at(10**9) == 0.0
