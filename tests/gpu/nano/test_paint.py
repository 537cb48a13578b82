"""The painter: folded pictures, the teacher's weights rearranged, what one step keeps of the frame before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
functional = torch.nn.functional

from gpu.nano import colour  # noqa: E402
from gpu.nano.distill import paint, paint_hold, paint_network, paint_start, paint_weave  # noqa: E402
from gpu.nano.distill.gram import fine_energy, gram_distance, look  # noqa: E402
from gpu.nano.distill.teachers.pastiche import BLENDS, STYLES, Pastiche, blend  # noqa: E402
from gpu.nano.edits import names_of  # noqa: E402


def random_teacher(path: Path) -> Pastiche:
    """A file like the package's, of random weights."""
    rng = np.random.default_rng(3)
    shapes = {"contract.0": (32, 3, 9), "contract.1": (32, 32, 3), "contract.2": (32, 32, 3)}
    shapes |= {f"res.{i}.{j}": (32, 32, 3) for i in range(6) for j in range(2)}
    shapes |= {"expand.0": (8, 32, 3), "expand.1": (4, 8, 3), "expand.2": (3, 4, 9)}
    stored = []
    for name, (outputs, inputs, size) in shapes.items():
        arrays = {
            "w": rng.normal(size=(outputs, inputs, size, size)) / (size * inputs**0.5),
            "norm.gamma": rng.normal(size=(STYLES, outputs)),
            "norm.beta": rng.normal(size=(STYLES, outputs)),
        }
        stored += [
            onnx.numpy_helper.from_array(a.astype(np.float32), f"{name}.{part}") for part, a in arrays.items()
        ]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "teacher", [], [], stored)), path)
    return Pastiche(path)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Pastiche:
    return random_teacher(tmp_path_factory.mktemp("teacher") / "teacher.onnx")


@pytest.fixture(scope="module")
def step() -> paint_network.Step:
    torch.manual_seed(1)
    return paint_network.Step(paint_network.Painter()).eval()


def inputs_of(width: int = 64, height: int = 48) -> dict[str, torch.Tensor]:
    torch.manual_seed(2)
    return dict(zip(paint.INPUTS, paint.example_inputs(width, height), strict=True))


def test_every_style_has_a_blend_that_adds_up_to_one() -> None:
    assert tuple(BLENDS) == names_of("paint")
    assert all(blend(name).sum() == pytest.approx(1.0) for name in BLENDS)


def test_folding_is_the_canvas_colour_conversion() -> None:
    rgb = torch.rand(2, 3, 16, 24)
    folded = paint_network.fold(rgb)
    luma, chroma = colour.rgb_to_planes(rgb[1].permute(1, 2, 0).numpy())
    np.testing.assert_allclose(functional.pixel_shuffle(folded[1:, :4], 2)[0, 0], luma, atol=1e-5)
    np.testing.assert_allclose(folded[1, 4:], chroma, atol=1e-5)
    cells = functional.conv2d(functional.pixel_unshuffle(rgb, 2), paint_network.Painter().planes)
    offset = torch.tensor([16 / 255] * 4 + [128 / 255] * 2)[:, None, None]
    torch.testing.assert_close(cells + offset, folded, atol=1e-5, rtol=0)
    flat = torch.rand(2, 3, 1, 1).expand(2, 3, 8, 8)
    torch.testing.assert_close(paint_network.unfold(paint_network.fold(flat)), flat, atol=1e-5, rtol=0)


def test_enlarging_is_cubic_for_luma_and_linear_for_chroma() -> None:
    luma, chroma = paint_network.enlarging_kernel()
    picture = torch.rand(1, 1, 24, 32)
    wanted = functional.interpolate(picture, scale_factor=2.0, mode="bicubic", align_corners=False)
    cells = functional.conv2d(functional.pixel_unshuffle(picture, 2), luma, padding=1)
    inner = np.s_[..., 4:-4, 4:-4]
    torch.testing.assert_close(functional.pixel_shuffle(cells, 4)[inner], wanted[inner], atol=1e-5, rtol=0)
    wanted = functional.interpolate(picture, scale_factor=2.0, mode="bilinear", align_corners=False)
    both = torch.cat([picture, picture], 1)
    cells = functional.conv2d(both, chroma, padding=1)
    torch.testing.assert_close(
        functional.pixel_shuffle(cells, 2)[:, 1:][inner], wanted[inner], atol=1e-5, rtol=0
    )


def test_kernels_of_the_teacher_mean_the_same_when_rearranged() -> None:
    kernel, x = torch.randn(4, 3, 3, 3), torch.rand(1, 3, 8, 10)
    wanted = functional.conv2d(functional.interpolate(x, scale_factor=2.0), kernel, padding=1)
    made = functional.pixel_shuffle(functional.conv2d(x, paint_start.after_doubling(kernel), padding=1), 2)
    torch.testing.assert_close(made[..., 2:-2, 2:-2], wanted[..., 2:-2, 2:-2], atol=1e-4, rtol=0)
    kernel = torch.zeros(2, 3, 9, 9)
    kernel[:, :, 2:7, 2:7] = torch.randn(2, 3, 5, 5)  # what 3x3 cells reach from every pixel
    wanted = functional.conv2d(x, kernel, padding=4)
    cells = functional.conv2d(functional.pixel_unshuffle(x, 2), paint_start.in_cells(kernel), padding=1)
    torch.testing.assert_close(functional.pixel_shuffle(cells, 2), wanted, atol=1e-4, rtol=0)


def test_a_student_starts_from_the_teacher_and_its_shapes_fit(teacher: Pastiche) -> None:
    student = paint_start.Student()
    rng = np.random.default_rng(0)
    student.start(teacher, [rng.random((32, 32, 3), np.float32) for _ in range(3)])
    assert torch.equal(student.painter.trunk[3].weight, teacher.res[3].kernel)
    made = paint.paint(student, torch.rand(2, 6, 16, 20), torch.eye(STYLES)[:2])
    assert made.shape == (2, 6, 16, 20)
    assert torch.isfinite(made).all()


def test_teacher_paints_the_blend_it_is_asked_for(teacher: Pastiche) -> None:
    image = torch.rand(1, 3, 32, 40)
    one, other = torch.eye(STYLES)[:1], torch.eye(STYLES)[1:2]
    assert teacher(image, one).shape == image.shape
    assert not torch.allclose(teacher(image, one), teacher(image, other), atol=1e-2)


def test_gram_distance_knows_the_same_picture_from_another(teacher: Pastiche) -> None:
    image = torch.rand(2, 3, 32, 40)
    reference = look(teacher, image)
    assert gram_distance(look(teacher, image, reference), reference).max() < 1e-3
    flat = look(teacher, functional.avg_pool2d(image, 9, 1, 4), reference)
    assert gram_distance(flat, reference).min() > 0.05
    assert fine_energy(image[:, :1]).min() > 10 * fine_energy(torch.full((1, 1, 16, 16), 0.5)).max()


def test_no_amount_and_no_mask_leave_the_canvas_alone(step: paint_network.Step) -> None:
    for name in ("amount", "mask"):
        inputs = inputs_of()
        inputs[name] = torch.zeros_like(inputs[name])
        luma, chroma, *_ = step(*inputs.values())
        assert torch.equal(luma, inputs["luma"])
        assert torch.equal(chroma, inputs["chroma"])


def test_what_stands_still_is_held_and_what_is_new_is_not(step: paint_network.Step) -> None:
    inputs = inputs_of()
    inputs["keep"] = torch.zeros(1, 1, 1, 1)
    _, _, alone, statistics = step(*inputs.values())
    # the painting before was grey, and nothing of the scene fits
    before = torch.full_like(inputs["cache_paint"], 0.5)
    inputs |= {"cache_paint": before, "cache_stats": statistics, "keep": torch.ones(1, 1, 1, 1)}
    inputs["gate"][..., :4] = 1.0  # the left is still
    held, kept = step(*inputs.values())[2], paint_hold.STILL_KEPT
    torch.testing.assert_close(held[..., :7], alone[..., :7] * (1 - kept) + 0.5 * kept, atol=1e-4, rtol=0)
    torch.testing.assert_close(held[..., 9:], alone[..., 9:], atol=1e-4, rtol=0)


def texture(h: int, w: int) -> torch.Tensor:
    torch.manual_seed(3)
    coarse = torch.rand(1, 1, h // 8 + 1, w // 8 + 1)
    return functional.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=False)


def test_what_moves_takes_its_strokes_along() -> None:
    hold = paint_hold.Hold()
    flow = torch.zeros(1, 2, 24, 24)
    flow[:, 0] = -0.5  # every block was half a block, four pixels or one cell, farther left
    wide = texture(48, 72)
    strokes = functional.pixel_unshuffle(texture(96, 144), 2)
    painting = torch.cat([strokes, wide, wide], 1)
    before, moved = painting[..., 8:56], painting[..., 7:55]
    still, fits, keep = torch.zeros(1, 1, 24, 24), torch.ones(1, 1, 48, 48), torch.ones(1, 1, 1, 1)
    held = hold(torch.full_like(before, 0.5), before, still, flow, fits, keep)
    kept = paint_hold.MOVED_KEPT
    missed = (held - (0.5 + kept * (moved - 0.5)))[..., 8:-8, 8:-8].abs().mean()
    assert missed < 0.002
    assert missed < 0.1 * (held - (0.5 + kept * (before - 0.5)))[..., 8:-8, 8:-8].abs().mean()


def test_the_grid_of_the_trunk_is_taken_out_and_an_edge_stays() -> None:
    unweave = paint_weave.Unweave()
    inner = np.s_[..., 8:-8, 8:-8]
    grid = torch.zeros(1, 1, 4, 4)
    grid[..., 0, :] = 0.1
    woven = functional.pixel_unshuffle(grid.repeat(1, 1, 24, 24), 2)
    painting = torch.cat([woven, torch.zeros(1, 2, 48, 48)], 1)
    left = unweave(painting)[inner]
    assert left[:, :4].std() < 0.2 * painting[inner][:, :4].std()
    edge = torch.zeros(1, 1, 96, 96)
    edge[..., 45:] = 0.8
    painting = torch.cat([functional.pixel_unshuffle(edge, 2), torch.rand(1, 2, 48, 48)], 1)
    made = unweave(painting)
    assert (made - painting)[inner].abs().max() < 0.09
    assert torch.equal(made[:, 4:], painting[:, 4:])


def test_first_frame_paints_as_in_training(step: paint_network.Step) -> None:
    inputs = inputs_of()
    inputs["keep"] = torch.zeros(1, 1, 1, 1)
    source = torch.cat(
        [
            functional.pixel_unshuffle(functional.avg_pool2d(inputs["luma"], 2), 2),
            functional.avg_pool2d(inputs["chroma"], 2),
        ],
        1,
    )
    norms = paint_network.own_norms(torch.ones(1, paint_network.ROWS), torch.zeros(1, paint_network.ROWS))
    painted = step(*inputs.values())[2]
    wanted = step.unweave(step.painter(source, norms))
    torch.testing.assert_close(painted, wanted, atol=1e-3, rtol=0)


def test_exported_graph_is_the_step_at_another_size(step: paint_network.Step, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    paint.export_graph(step.painter, tmp_path / "paint.onnx")
    session = runtime.InferenceSession(str(tmp_path / "paint.onnx"), providers=["CPUExecutionProvider"])
    inputs = inputs_of(96, 64)
    with torch.no_grad():
        # the second frame of a picture that moved: what was painted before is carried along
        inputs["cache_paint"] = step(*inputs.values())[2]
        flow = torch.full((1, 2, 8, 12), 0.2)
        inputs |= {"flow": flow, "share": torch.rand(inputs["share"].shape)}
        wanted = step(*inputs.values())
    made = session.run(list(paint.OUTPUTS), {name: tensor.numpy() for name, tensor in inputs.items()})
    for mine, tensor in zip(made, wanted, strict=True):
        np.testing.assert_allclose(mine, tensor.numpy(), atol=2e-3)
