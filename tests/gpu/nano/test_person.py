"""The person mask: near its teacher, sharp, steady, exact where sure; and how it comes to be.

The picture is Matplotlib's sample of Grace Hopper (by the U.S. Navy, public domain), never trained on.
`person_teacher.png` is what MediaPipe's selfie_segmentation.tflite makes of it, at half its size.
"""

from __future__ import annotations

import itertools
import struct
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from gpu.nano.colour import rgb_to_planes

F32 = NDArray[np.float32]

HERE = Path(__file__).parent
WEIGHTS = HERE.parents[2] / "gpu" / "nano" / "weights"


def one_thread(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # small pictures: waiting threads cost more than they give
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Session:
    """The graph with its cache; the steadying beside it says that all fits, or what it is told."""

    def __init__(self, path: Path = WEIGHTS / "person.onnx") -> None:
        self.graph = one_thread(path)
        self.cache: F32 | None = None

    def __call__(
        self,
        picture: F32,
        keep: float | None = None,
        share: float = 0.9,
        flow: tuple[float, float] = (0.0, 0.0),
    ) -> F32:
        """`share` of the frame before fits, which was `flow` pixels right and down."""
        luma, chroma = rgb_to_planes(picture)
        height, width = luma.shape
        if keep is None:
            keep = float(self.cache is not None)
        before = np.zeros((1, 1, height // 2, width // 2), np.float32) if self.cache is None else self.cache
        blocks = np.empty((1, 2, height // 8, width // 8), np.float32)
        blocks[0, 0], blocks[0, 1] = flow[0] / 8, flow[1] / 8
        feeds = {"luma": luma[None, None], "chroma": chroma[None], "cache_level": before, "flow": blocks}
        feeds["share"] = np.full((1, 1, height // 4, width // 4), share, np.float32)
        feeds["keep"] = np.full((1, 1, 1, 1), keep, np.float32)
        mask, self.cache = self.graph.run(["mask", "new_cache_level"], feeds)
        return np.asarray(mask[0, 0], np.float32)


@pytest.fixture(scope="module")
def portrait() -> F32:
    """[512, 512, 3]."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    image = Image.open(path).convert("RGB").resize((512, 600))
    return np.asarray(image, np.float32)[:512] / np.float32(255)


def noisy(picture: F32, seed: int, levels: float = 5) -> F32:
    rng = np.random.default_rng(seed)
    return (picture + rng.normal(0, levels / 255, picture.shape).astype(np.float32)).clip(0, 1)


def iou(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_it_is_near_the_teacher(portrait: F32) -> None:
    teacher = np.asarray(
        Image.open(HERE / "person_teacher.png").resize((512, 512), Image.Resampling.BILINEAR)
    )
    assert iou(Session()(portrait) > 0.5, teacher > 127) >= 0.96


def test_it_is_sharper_than_the_teacher(portrait: F32) -> None:
    teacher = np.asarray(
        Image.open(HERE / "person_teacher.png").resize((512, 512), Image.Resampling.BILINEAR)
    )
    between = [float(((m > 0.1) & (m < 0.9)).mean()) for m in (Session()(portrait), teacher / 255)]
    assert between[0] < between[1]


def test_where_it_is_sure_it_is_exactly_zero_or_one(portrait: F32) -> None:
    mask = Session()(portrait)
    assert mask.min() == 0
    assert mask.max() == 1
    assert ((mask == 0) | (mask == 1)).mean() > 0.9
    assert (mask[:60, 420:] == 0).all()  # the blue ground at the top right
    assert (mask[220:300, 210:290] == 1).all()  # the face


def test_nobody_is_nobody() -> None:
    rows, columns = np.mgrid[0:240, 0:320].astype(np.float32)
    sky = np.stack([0.3 + rows / 800, 0.5 + rows / 800, 0.9 - columns / 1600], -1)
    assert (Session()(sky.astype(np.float32)) > 0.5).mean() < 0.01


@pytest.mark.parametrize(("width", "height"), [(640, 480), (736, 416), (320, 184), (480, 640)])
def test_any_canvas(portrait: F32, width: int, height: int) -> None:
    """The person stays one whatever room there is around her: padded with her own ground's blue."""
    side = min(width, height)
    small = Image.fromarray((portrait * 255).astype(np.uint8)).resize((side, side))
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = portrait[10, 500]
    left = (width - side) // 2
    picture[height - side :, left : left + side] = np.asarray(small, np.float32) / 255
    mask = Session()(picture)
    assert mask.shape == (height, width)
    teacher = Image.open(HERE / "person_teacher.png").resize((side, side), Image.Resampling.BILINEAR)
    inside = mask[height - side :, left : left + side]
    assert iou(inside > 0.5, np.asarray(teacher) > 127) > 0.85  # the teacher saw her without that room


def test_its_memory_steadies_what_stands_still(portrait: F32) -> None:
    frames = [noisy(portrait, seed) for seed in range(8)]
    remembering = Session()
    held = [remembering(frame) for frame in frames]
    alone = [Session()(frame) for frame in frames[3:]]

    def flicker(masks: list[F32]) -> float:
        return float(np.mean([np.abs(b - a).mean() for a, b in itertools.pairwise(masks)]))

    assert flicker(held[3:]) < 0.6 * flicker(alone)


def test_its_memory_goes_along_with_the_picture(portrait: F32) -> None:
    """What is kept of somebody 16 pixels further left lies where she is now."""
    session, still = Session(), Session()
    for each in (session, still):
        each(np.roll(portrait, -16, 1))
    alone, along = Session()(portrait), session(portrait, flow=(-16, 0))
    stays = still(portrait)
    assert np.abs(along - alone).mean() < 0.004
    assert np.abs(stays - alone).mean() > 3 * np.abs(along - alone).mean()


def test_its_memory_lets_go_of_what_moves(portrait: F32) -> None:
    """Who jumps aside before a wall on which everything fits leaves no ghost; and where nothing fits, nothing
    is kept."""
    moved = np.roll(portrait, -128, 1)
    fresh = Session()(moved)
    for share, most in ((0.9, 0.02), (0.0, 1e-6)):
        session = Session()
        for seed in range(3):
            session(noisy(portrait, seed, 2))
        assert np.abs(session(moved, share=share) - fresh).mean() < most


def test_keep_zero_forgets(portrait: F32) -> None:
    session = Session()
    session(portrait[:, ::-1])
    np.testing.assert_array_equal(session(portrait, keep=0.0), Session()(portrait))


# ---- training code ----


def test_a_file_that_is_no_tflite_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from gpu.nano.distill.teachers.person import load

    path = tmp_path / "wrong.tflite"
    path.write_bytes(struct.pack("<I", 4) + b"WHAT" + bytes(64))
    with pytest.raises(ValueError, match=r"wrong\.tflite is no TFLite model"):
        load(path)


@pytest.fixture(scope="module")
def teacher() -> Any:
    torch = pytest.importorskip("torch")
    from gpu.nano.distill.teachers.person import Selfie

    torch.manual_seed(4)
    return Selfie().eval()  # any weights will do: what is tested is what becomes of them


def test_it_begins_as_the_teacher(teacher: Any, portrait: F32) -> None:
    torch = pytest.importorskip("torch")
    from gpu.nano.distill.person_network import FAR, adopt

    luma, chroma = (torch.from_numpy(plane) for plane in rgb_to_planes(portrait[:256, :256]))
    person = adopt(teacher).eval()
    picture = torch.from_numpy(
        portrait[:256, :256].reshape(128, 2, 128, 2, 3).mean((1, 3)).transpose(2, 0, 1)[None]
    )
    with torch.no_grad():
        logits, level = person.now(luma[None, None], chroma[None])
        sure = teacher(picture).clamp(-FAR, FAR)
        want = torch.nn.functional.interpolate(sure, scale_factor=2.0, mode="bilinear")
        got = person.pixels(logits)
    torch.testing.assert_close(logits, level)  # the edges have nothing to say yet
    inside = (slice(None), slice(None), slice(8, -16), slice(8, -16))  # the rims are padded otherwise
    torch.testing.assert_close(got[inside], want[inside], atol=2e-2, rtol=0)


def test_only_what_is_new_learns(teacher: Any) -> None:
    torch = pytest.importorskip("torch")
    from gpu.nano.distill.person import PersonTask
    from gpu.nano.distill.person_network import adopt

    task = PersonTask.__new__(PersonTask)  # without a teacher's file
    net = adopt(teacher)
    groups = task.groups(net)
    rng = np.random.default_rng(2)
    shapes = ((2, 2, 1, 64, 96), (2, 2, 2, 32, 48), (2, 2, 1, 64, 96))
    batch = tuple(torch.from_numpy(rng.integers(0, 256, shape).astype(np.uint8)) for shape in shapes)
    loss = task.loss(net, batch)
    loss.backward()
    assert torch.isfinite(loss)
    learning = {id(p) for group in groups for p in group["params"]}
    for name, parameter in net.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) in learning), name


def test_composed_clips_know_their_masks(teacher: Any) -> None:
    from gpu.nano.distill.person_clips import Subject, composed, filmed, found, vacant

    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (160, 120, 3)).astype(np.uint8)
    mask = np.zeros((160, 120), np.float32)
    mask[40:, 30:90] = 1
    person = Subject(picture, mask, (30, 40, 90, 160))
    ground = rng.integers(0, 256, (200, 260, 3)).astype(np.uint8)
    for clip in (
        composed([person], [ground], teacher, (96, 64), 3, rng),
        found(person, (96, 64), 3, rng),
        vacant(ground, (96, 64), 3, rng),
    ):
        assert [frame.shape for frame in clip.frames] == [(64, 96, 3)] * 3
        assert [m.shape for m in clip.fine] == [(64, 96)] * 3
        assert all(m.min() >= 0 and m.max() <= 1 for m in clip.fine)
        assert all(x.min() >= 0 and x.max() <= 1 for x in filmed(clip.frames, rng))


def test_a_soft_mask_is_brought_to_the_edge_of_the_colours() -> None:
    pytest.importorskip("cv2")
    from gpu.nano.distill.person_clips import to_edges

    true = np.zeros((120, 120), np.float32)
    true[30:, 40:80] = 1
    picture = np.where(true[..., None] == 1, [0.8, 0.5, 0.4], [0.2, 0.4, 0.5]).astype(np.float32)
    soft = np.zeros_like(true)
    for dy in range(-4, 5):
        for dx in range(-4, 5):
            soft += np.roll(true, (dy, dx), (0, 1)) / 81
    before, after = np.abs(soft - true).mean(), np.abs(to_edges(picture, soft) - true)[:-8].mean()
    assert after < 0.4 * before


def test_export_writes_a_graph_of_free_size(teacher: Any, tmp_path: Path, portrait: F32) -> None:
    torch = pytest.importorskip("torch")
    from gpu.nano.distill.person import export, mask_of
    from gpu.nano.distill.person_network import adopt

    person = adopt(teacher)
    torch.save({"ema": person.state_dict()}, tmp_path / "person.pt")
    export(tmp_path / "person.pt", tmp_path)
    for height, width in ((192, 256), (184, 320)):
        picture = portrait[:height, :width]
        np.testing.assert_allclose(
            Session(tmp_path / "person.onnx")(picture), mask_of(person, picture), atol=1e-3
        )
