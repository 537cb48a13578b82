"""Looks: the teachers, the network and its graph, the weights that ship, the colours of local colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.edits import COLOURS, HUES, names_of
from gpu.nano.experts import Experts, backdrop, mix_recolour
from gpu.nano.geometry import coordinates
from gpu.nano.palette import RGB, TAKES

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")
from gpu.nano.distill import look, look_cells  # noqa: E402
from gpu.nano.distill.teachers import local_colour, looks  # noqa: E402
from gpu.nano.distill.teachers.place import place_of  # noqa: E402
from gpu.nano.distill.teachers.tone import hue_degrees  # noqa: E402

WEIGHTS = Path(looks.__file__).parents[2] / "weights"
WIDTH, HEIGHT = 128, 96
F32 = NDArray[np.float32]

# sRGB of skin in fair, medium, olive, brown and dark tones, in good light and in shade
SKIN = np.array(
    [(255, 219, 172), (241, 194, 125), (224, 172, 105), (198, 134, 66), (141, 85, 36), (232, 190, 172),
     (200, 150, 130), (150, 105, 85), (110, 75, 60), (90, 60, 48)],
    np.float32,
) / np.float32(255)  # fmt: skip


def scene() -> F32:
    """Patches of every hue, of skin and greys in smooth light, a little noise: RGB [H, W, 3] of a canvas."""
    rng = np.random.default_rng(4)
    rows, cols = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    palette = np.concatenate([np.array(list(RGB.values()), np.float32), SKIN, rng.uniform(0, 1, (10, 3))])
    patches = palette[rng.integers(0, len(palette), (6, 8))].repeat(16, 0).repeat(16, 1)
    light = 0.55 + 0.45 * np.sin(cols / 23 + 1) * np.cos(rows / 31)
    image = patches * light[..., None] + rng.normal(0, 0.01, patches.shape)
    return planes_to_rgb(*rgb_to_planes(np.clip(image, 0, 1).astype(np.float32)))


def decibels(a: F32, b: F32) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2) + 1e-12))


@pytest.fixture(scope="module")
def random_net() -> Any:
    torch.manual_seed(3)
    net = look.Networks()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net


@pytest.fixture(scope="module")
def shipped() -> Experts:
    return Experts.load(WEIGHTS)


def of_experts(tensors: dict[str, F32], image: F32, mask: F32, amount: float) -> tuple[F32, F32]:
    """The graph's planes for packed tensors, in torch."""
    luma, chroma = rgb_to_planes(image)
    aux = coordinates(image.shape[1], image.shape[0])[None]
    inputs = (
        luma[None, None],
        chroma[None],
        aux,
        mask[None, None],
        np.full((1, 1, 1, 1), amount, np.float32),
    )
    with torch.no_grad():
        made = look.Look()(*map(torch.from_numpy, inputs), **{k: torch.tensor(v) for k, v in tensors.items()})
    return made[0][0, 0].numpy(), made[1][0].numpy()


# teachers


def test_every_look_has_a_teacher_that_is_deterministic_and_changes_the_picture() -> None:
    image, place = scene(), place_of(WIDTH, HEIGHT)
    seen: dict[str, F32] = {}
    for name in names_of("look"):
        made = looks.look(name, image, place)
        assert made.shape == image.shape
        assert made.dtype == np.float32
        assert 0 <= made.min() <= made.max() <= 1
        assert np.array_equal(made, looks.look(name, image, place))
        assert np.abs(made - image).max() > 0.05, name
        for other, picture in seen.items():
            assert np.abs(made - picture).mean() > 0.004, (name, other)
        seen[name] = made


@pytest.mark.parametrize("hue", HUES)
def test_a_hue_finds_its_own_colour_and_no_skin(hue: str) -> None:
    own = np.array([[RGB[hue]]], np.float32)
    assert local_colour.member(own, hue).min() > 0.9
    assert local_colour.member(0.5 * own, hue).min() > 0.9, "in half the light"
    for other in HUES:
        if other != hue:
            assert local_colour.member(own, other).max() < 0.1, other
    skin = local_colour.member(SKIN[None], hue).mean()
    assert skin < (0.2 if hue == "orange" else 0.02), "only browns that are orange by number may pass for it"


def test_recolouring_keeps_shading_and_leaves_the_rest_exactly() -> None:
    image = scene()
    made = local_colour.recolour(image, "red", "blue")
    untouched = local_colour.member(image, "red")[..., 0] == 0
    assert untouched.mean() > 0.5
    assert np.array_equal(made[untouched], image[untouched])
    bright, dark = (np.array([[RGB["red"]]], np.float32) * light for light in (1.0, 0.4))
    blue, navy = (local_colour.recolour(x, "red", "blue") for x in (bright, dark))
    assert abs(float(hue_degrees(blue)[0, 0, 0]) - 224) < 12
    assert blue.mean() > 2 * navy.mean()


def test_faces_keep_their_order_of_light_in_every_look_that_is_no_negative() -> None:
    """A face is told by what is lighter and what is darker in it."""
    steps = np.linspace(0.25, 1.0, 12, dtype=np.float32)
    face = np.repeat((steps[:, None] * SKIN[6])[None], 2, 0)
    for name, teacher in looks.PLAIN.items():
        pixels = looks.Pixels(
            face, *np.full((2, 2, 12, 1), 0.3, np.float32), np.broadcast_to(SKIN[6], face.shape)
        )
        shades = np.clip(teacher(pixels), 0, 1)[0] @ np.array([0.299, 0.587, 0.114])
        rising = np.diff(shades) if name != "negative" else -np.diff(shades)
        assert (rising > 0).all(), name
        assert shades.max() - shades.min() > 0.12, name


# network and graph


def test_amount_and_mask_of_nothing_are_the_source_exactly(random_net: Any) -> None:
    image = scene()
    luma, chroma = rgb_to_planes(image)
    tensors = {k: v.numpy() for k, v in look.tensors_of(random_net.experts(), "night").items()}
    for mask, amount in (
        (np.ones((HEIGHT, WIDTH), np.float32), 0.0),
        (np.zeros((HEIGHT, WIDTH), np.float32), 1.0),
    ):
        new_luma, new_chroma = of_experts(tensors, image, mask, amount)
        assert np.array_equal(new_luma, luma)
        assert np.array_equal(new_chroma, chroma)
    left = np.ones((HEIGHT, WIDTH), np.float32)
    left[:, WIDTH // 2 :] = 0
    half, full = of_experts(tensors, image, left, 1.0)[0], of_experts(tensors, image, left * 0 + 1, 1.0)[0]
    assert np.array_equal(half[:, WIDTH // 2 :], luma[:, WIDTH // 2 :])
    assert np.array_equal(half[:, : WIDTH // 2], full[:, : WIDTH // 2])


@pytest.mark.parametrize("size", [(64, 48), (104, 56)])
def test_the_exported_graph_equals_torch(random_net: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    import openvino

    width, height = size
    tensors = look.tensors_of(random_net.experts(), "dream")
    look.export_graph(tmp_path, tensors)
    rng = np.random.default_rng(1)
    inputs = {
        "luma": rng.uniform(0, 1, (1, 1, height, width)),
        "chroma": rng.uniform(0, 1, (1, 2, height // 2, width // 2)),
        "aux": coordinates(width, height)[None],
        "mask": rng.uniform(0, 1, (1, 1, height, width)),
        "amount": np.full((1, 1, 1, 1), 0.7),
    }
    arrays = {name: np.asarray(array, np.float32) for name, array in inputs.items()}
    with torch.no_grad():
        expected = look.Look()(*map(torch.from_numpy, arrays.values()), **tensors)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    engine = openvino.Core().compile_model(str(tmp_path / "look.onnx"), "CPU", settings)
    made = engine({**arrays, **{name: tensor.numpy() for name, tensor in tensors.items()}})
    for name, target in zip(look.OUTPUTS, expected, strict=True):
        np.testing.assert_allclose(made[name], target.numpy(), atol=2e-5)


def test_the_network_sees_the_teachers_blur() -> None:
    from gpu.nano.distill.teachers.pixels import haze

    plane = np.random.default_rng(2).uniform(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
    chroma = torch.zeros(1, 2, HEIGHT // 2, WIDTH // 2)
    seen = look.wide_blur(torch.from_numpy(plane)[None, None], chroma)[0, 0].numpy()
    made = haze(plane[..., None].repeat(3, -1))[..., 0].reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean((1, 3))
    np.testing.assert_allclose(seen[4:-4, 4:-4], made[4:-4, 4:-4], atol=1e-5)
    assert np.abs(seen - made).max() < 0.03


# learning


def test_the_error_and_its_gradients_are_those_of_autograd(random_net: Any) -> None:
    rng = np.random.default_rng(5)
    cells = torch.tensor(rng.uniform(0, 1, (look_cells.INPUTS, 64)), dtype=torch.float32)
    bank = random_net.recolour
    targets = torch.tensor(rng.normal(0, 0.1, (len(HUES), look.RECOLOUR_OUTPUTS, 64)), dtype=torch.float32)
    weights = [getattr(bank, name) for name in look.TENSORS]
    error = bank.error(cells, targets)
    quick = torch.autograd.grad(3 * error, weights)
    w1, b1, w2, b2, w3, b3 = weights
    x = torch.relu(w2 @ torch.relu(w1 @ cells + b1) + b2)
    expected = ((w3 @ x + b3 - targets) ** 2).mean((1, 2)).sum()
    assert torch.allclose(error, expected, rtol=1e-4)
    for mine, its in zip(quick, torch.autograd.grad(3 * expected, weights), strict=True):
        assert torch.allclose(mine, its, rtol=1e-3, atol=1e-6)


def test_batches_are_the_same_for_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_cells, "KEPT", 256)
    monkeypatch.setattr(look_cells, "FRESH", 64)
    monkeypatch.setattr(look_cells, "EVERY", 1)
    pool = [(scene() * 255).astype(np.uint8)]
    drawn = [look_cells.Cells().draw(pool, np.random.default_rng(9)) for _ in range(2)]
    shapes = [(look_cells.INPUTS,), (len(looks.PLAIN) + len(HUES), 6), (len(HUES), 10)]
    for first, second, shape in zip(*drawn, shapes, strict=True):
        assert first.shape == (*shape, look_cells.BATCH)
        assert np.array_equal(first, second)
        assert np.isfinite(first).all()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_recolouring_mixed_from_its_parts_is_the_teachers(colour: str) -> None:
    """The ten outputs the network learns, mixed for a colour, are exactly what the teacher adds."""
    cells = look_cells.sample([(scene() * 255).astype(np.uint8)], np.random.default_rng(6), 400)
    parts = look_cells.recolour_targets(cells)
    found = "green"
    identity = {"w3": np.eye(10, dtype=np.float32)[None], "b3": np.zeros((1, 10, 1), np.float32)}
    made = (mix_recolour(identity, colour)["w3"][0] @ parts[HUES.index(found)]).T + cells.planes
    expected = look_cells.planes_of(local_colour.recolour(cells.rgb, found, colour))
    np.testing.assert_allclose(made, expected, atol=2e-4)


# the weights that ship


@pytest.mark.parametrize("name", [name for name in names_of("look") if name not in TAKES])
def test_shipped_looks_follow_their_teachers(shipped: Experts, name: str) -> None:
    image = scene()
    mask = np.ones((HEIGHT, WIDTH), np.float32)
    made = planes_to_rgb(*of_experts(shipped.tensors(name), image, mask, 1.0))
    target = planes_to_rgb(*rgb_to_planes(looks.look(name, image, place_of(WIDTH, HEIGHT))))
    assert decibels(made, target) >= 34


@pytest.mark.parametrize("hue", HUES)
def test_shipped_local_colours_follow_their_teachers(shipped: Experts, hue: str) -> None:
    """A scene with every hue at once: harder than a photograph, so the bound is for what shows."""
    image, place = scene(), place_of(WIDTH, HEIGHT)
    mask = np.ones((HEIGHT, WIDTH), np.float32)
    other = COLOURS[(HUES.index(hue) + 3) % len(COLOURS)]
    for name, colours in (("colour_pop", (hue,)), ("recolour", (hue, other))):
        made = planes_to_rgb(*of_experts(shipped.tensors(name, colours), image, mask, 1.0))
        target = planes_to_rgb(*rgb_to_planes(looks.look(name, image, place, colours)))
        assert decibels(made, target) >= 30, (name, colours)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_backdrop_is_its_colour_whatever_was_there(colour: str) -> None:
    shapes = {
        "w1": np.zeros((1, 32, 12), np.float32),
        "w2": np.zeros((1, 32, 32), np.float32),
        "w3": np.zeros((1, 6, 32), np.float32),
    }
    mask = np.ones((HEIGHT, WIDTH), np.float32)
    made = planes_to_rgb(*of_experts(backdrop(colour, shapes), scene(), mask, 1.0))
    target = looks.look("backdrop", scene(), place_of(WIDTH, HEIGHT), (colour,))
    assert np.abs(made - target).max() < 0.02
    assert np.abs(made.mean((0, 1)) - RGB[colour]).max() < 0.1
