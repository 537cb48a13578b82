"""The lens blur: exact at nothing, no bleeding, no dark rim, growing with its amount, any canvas."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Blur = Callable[..., tuple[F32, F32]]

WEIGHTS = Path(__file__).parents[3] / "gpu" / "nano" / "weights"
H, W = 96, 128  # luma


def one_thread(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # small pictures: waiting threads cost more than they give
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def blur() -> Blur:
    session = one_thread(WEIGHTS / "blur.onnx")

    def run(luma: F32, chroma: F32, mask: F32, amount: float) -> tuple[F32, F32]:
        feeds = {
            "luma": luma[None, None],
            "chroma": chroma[None],
            "mask": mask[None, None],
            "amount": np.full((1, 1, 1, 1), amount, np.float32),
        }
        new_luma, new_chroma = session.run(["new_luma", "new_chroma"], feeds)
        return new_luma[0, 0], new_chroma[0]

    return run


def scene(height: int = H, width: int = W) -> tuple[F32, F32]:
    rng = np.random.default_rng(3)
    luma = rng.uniform(0.1, 0.9, (height, width)).astype(np.float32)
    return luma, rng.uniform(0.3, 0.7, (2, height // 2, width // 2)).astype(np.float32)


def person(height: int = H, width: int = W) -> F32:
    """1 is background: everything but a block in the middle."""
    mask = np.ones((height, width), np.float32)
    mask[height // 8 * 2 :, width // 8 * 3 : width // 8 * 6] = 0  # whole chroma pixels
    return mask


def test_amount_zero_gives_the_source_exactly(blur: Blur) -> None:
    luma, chroma = scene()
    new_luma, new_chroma = blur(luma, chroma, person(), 0.0)
    np.testing.assert_array_equal(new_luma, luma)
    np.testing.assert_array_equal(new_chroma, chroma)


def test_what_the_mask_keeps_is_kept_exactly(blur: Blur) -> None:
    luma, chroma = scene()
    mask = person()
    new_luma, new_chroma = blur(luma, chroma, mask, 1.0)
    np.testing.assert_array_equal(new_luma[mask == 0], luma[mask == 0])
    kept = mask[::2, ::2] == 0
    np.testing.assert_array_equal(new_chroma[:, kept], chroma[:, kept])
    assert np.abs(new_luma - luma)[mask == 1].mean() > 0.1


def test_a_flat_picture_stays_flat_at_the_rims_too(blur: Blur) -> None:
    luma, chroma = np.full((H, W), 0.4, np.float32), np.full((2, H // 2, W // 2), 0.6, np.float32)
    new_luma, new_chroma = blur(luma, chroma, person(), 1.0)
    np.testing.assert_allclose(new_luma, luma, atol=1e-5)
    np.testing.assert_allclose(new_chroma, chroma, atol=1e-5)


@pytest.mark.parametrize("bright", [0.1, 0.95])
def test_the_person_neither_bleeds_nor_darkens_the_room_around(blur: Blur, bright: float) -> None:
    mask = person()
    luma = np.where(mask == 1, 0.5, bright).astype(np.float32)
    chroma = np.repeat(np.where(mask == 1, 0.5, 0.9).astype(np.float32)[None, ::2, ::2], 2, 0)
    new_luma, new_chroma = blur(luma, chroma, mask, 1.0)
    assert np.abs(new_luma[mask == 1] - 0.5).max() < 0.03
    assert np.abs(new_chroma[:, mask[::2, ::2] == 1] - 0.5).max() < 0.03
    # the same without the mask does bleed, or this would show nothing
    plain, _ = blur(luma, chroma, np.ones_like(mask), 1.0)
    assert np.abs(plain[mask == 1] - 0.5).max() > 0.15


def test_it_grows_with_its_amount_without_a_step(blur: Blur) -> None:
    luma, chroma = scene()
    ones = np.ones((H, W), np.float32)
    fine = [blur(luma, chroma, ones, amount)[0].std() for amount in np.linspace(0, 1, 11)]
    assert all(a > b for a, b in itertools.pairwise(fine)), fine
    below, above = blur(luma, chroma, ones, 0.399)[0], blur(luma, chroma, ones, 0.401)[0]
    assert np.abs(below - above).max() < 0.01


def test_a_bright_spot_grows_to_a_disc(blur: Blur) -> None:
    luma, chroma = np.full((H, W), 0.2, np.float32), np.full((2, H // 2, W // 2), 0.5, np.float32)
    luma[44:52, 60:68] = 0.9
    new_luma, _ = blur(luma, chroma, np.ones_like(luma), 1.0)
    row = new_luma[48]
    assert row[64 - 12 : 64 + 12].min() > 0.215  # light as far as the disc reaches ...
    assert row[64 + 28 :].max() < 0.205  # ... and none beyond
    # more of it than a mean would spread: highlights bloom
    assert new_luma.sum() > luma.sum()


@pytest.mark.parametrize(("height", "width"), [(208, 368), (184, 320), (160, 120)])
def test_any_canvas(blur: Blur, height: int, width: int) -> None:
    luma, chroma = scene(height, width)
    new_luma, new_chroma = blur(luma, chroma, person(height, width), 0.7)
    assert new_luma.shape == luma.shape
    assert new_chroma.shape == chroma.shape
    assert np.isfinite(new_luma).all()


def test_nowhere_to_blur_is_no_division_by_nothing(blur: Blur) -> None:
    luma, chroma = scene()
    new_luma, _ = blur(luma, chroma, np.zeros((H, W), np.float32), 1.0)
    np.testing.assert_array_equal(new_luma, luma)


def test_enlarging_is_bilinear() -> None:
    torch = pytest.importorskip("torch")
    from gpu.nano.distill.enlarge import Enlarge

    x = torch.rand(2, 3, 5, 7)
    for factor in (2, 4):
        want = torch.nn.functional.interpolate(x, scale_factor=float(factor), mode="bilinear")
        torch.testing.assert_close(Enlarge(3, factor)(x), want)


def test_what_is_exported_is_what_is_in_the_repository(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from gpu.nano.distill.blur import export

    export(tmp_path)
    luma, chroma = scene()
    feeds = {"luma": luma[None, None], "chroma": chroma[None], "mask": person()[None, None]}
    feeds["amount"] = np.ones((1, 1, 1, 1), np.float32)
    folders = (tmp_path, WEIGHTS)
    new, old = (one_thread(folder / "blur.onnx").run(None, feeds) for folder in folders)
    for a, b in zip(new, old, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
