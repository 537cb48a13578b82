"""Training code of `nano`: teachers, data, network, a few steps, export. Needs the `distill` extra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpu.models.nano import NanoModel, NanoState
from gpu.nano.edits import EDIT_NAMES
from gpu.nano.transition import Conditioning
from tests.gpu.nano.conftest import GOLDEN, clip, psnr

torch = pytest.importorskip("torch", reason="the distill extra is not installed")
cv2 = pytest.importorskip("cv2", reason="the distill extra is not installed")
pytest.importorskip("onnx", reason="the distill extra is not installed")
pytest.importorskip("tqdm", reason="the distill extra is not installed")

from gpu.nano import contact, data, evaluate, export, network, teachers, train  # noqa: E402


def photograph(seed: int = 0, side: int = 240) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0, 255, (side // 12, side // 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_teachers_are_what_the_golden_pictures_are() -> None:
    """Whoever changes a teacher must train again and store its pictures again."""
    with np.load(GOLDEN) as golden:
        image = golden["rgb"].astype(np.float32) / 255
        place = teachers.place_of(image.shape[1], image.shape[0])
        for name in EDIT_NAMES:
            made = evaluate.to_frame(evaluate.teach(image, evaluate.one(name), place, 3000), 3000)
            assert np.abs(made.y.astype(int) - golden[f"{name}_y"]).max() <= 2, name


def test_amounts_compose_in_order() -> None:
    image = photograph().astype(np.float32) / 255
    place = teachers.place_of(240, 240)
    amounts = evaluate.one("pencil") + evaluate.one("night")
    both = teachers.apply(image, amounts, place)
    drawn = teachers.apply(image, evaluate.one("pencil"), place)
    assert np.allclose(both, teachers.apply(drawn, evaluate.one("night"), place))
    half = teachers.apply(image, 0.5 * evaluate.one("sepia"), place)
    full = teachers.apply(image, evaluate.one("sepia"), place)
    assert np.allclose(half, (image + full) / 2, atol=1e-6)


def test_samples_repeat_for_a_seed() -> None:
    pool = [photograph(i) for i in range(2)]
    first, second = (data.draw_sample(pool, np.random.default_rng(3), 64, 3) for _ in range(2))
    for name in data.Sample.__dataclass_fields__:
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert first.luma.shape == (3, 1, 64, 64)
    assert first.target_chroma.shape == (3, 2, 32, 32)


def test_pool_takes_photographs_and_leaves_the_held_out_clip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (260, 300, 3), dtype=np.uint8)
    for name in ("photo.png", "carphone.png"):
        cv2.imwrite(str(tmp_path / name), noise)
    assert len(data.build_pool([tmp_path], 0)) == 1


def test_a_few_steps_learn_and_the_export_equals_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    core = network.Core()
    sample = train.to_tensors(next(data.batches([photograph()], 0, 2, 64)))
    luma, chroma, target_luma, target_chroma, cond, texture, coords = sample
    optimiser = torch.optim.Adam(core.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):
        new, new_chroma, _, _ = core(luma[:, 0], chroma[:, 0], cond, texture, coords)
        loss = train.edit_loss(new, new_chroma, target_luma[:, 0], target_chroma[:, 0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]

    for name, native in export.GRAPHS.items():
        export.export(core, tmp_path / name, native)
    export.write_metadata(tmp_path, {"step": 25, "minutes": 0.1})
    model = NanoModel(tmp_path, 1)
    for width, height in ((160, 112), (162, 118)):
        step = network.Step(core, (width, height) == (160, 112)).eval()
        state = model.open_state(width, height)
        assert isinstance(state, NanoState)
        state.transition.begin(Conditioning(evaluate.one("neon"), 1.0), 0)
        for frame in clip(width, height, 2):
            before = {name: state.tensors[name] for name in ("cache_source", "cache_luma", "cache_chroma")}
            keep = float(state.cache_valid)
            edited = model.step(state, [frame])[0]
            inputs = {**state.tensors, **before, "keep": np.full((1, 1, 1, 1), keep, np.float32)}
            with torch.no_grad():
                y = step(*(torch.from_numpy(inputs[name]) for name in export.INPUTS))[0]
            assert np.abs(y[0, 0].numpy().astype(int) - edited.y).max() <= 1
    model.close()


def test_cache_loss_trains_only_the_share() -> None:
    torch.manual_seed(0)
    core = network.Core()
    sample = train.to_tensors(next(data.batches([photograph()], 0, 1, 64, 3)))
    train.cache_loss(core, sample).backward()
    assert core.share.weight.grad is not None
    assert core.stem_luma.weight.grad is None


def test_contact_sheet_shows_every_edit() -> None:
    sheet = contact.contact_sheet(network.Core(), [photograph()], 80, 64)
    assert sheet.shape == (2 * 64 * len(EDIT_NAMES) // 5, 80 * 5, 3)


def test_score_of_a_perfect_picture() -> None:
    frame = clip(64, 48, 1)[0]
    assert evaluate.psnr(frame, frame) > 100
    assert psnr(frame, frame) > 100
    assert evaluate.flicker([frame, frame], [frame, frame]) == 0
