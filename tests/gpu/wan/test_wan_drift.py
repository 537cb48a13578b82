"""The drift guard on a made-up editor whose faults add up: it keeps (all or a part of) its past's departure.

Sources are windows that wander over a big soft picture, with noise. Latents have size 1, as Wan's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402
from wan_streams import edited, instruction, network, opened, same  # noqa: E402

from gpu.wan.config import StreamShape  # noqa: E402
from gpu.wan.drift import BOUND, STEP, DriftGuard  # noqa: E402
from gpu.wan.engines.eager import EagerEngine  # noqa: E402
from gpu.wan.sampler import Sampling  # noqa: E402

CHANNELS, HIGH, WIDE = 16, 12, 20
KINDS = ("colour", "contrast", "detail")


class Camera:
    def __init__(self, seed: int, block: int) -> None:
        self.chance, self.block, self.shown = torch.Generator().manual_seed(seed), block, 0
        self.scene = self.other = self.another()

    def another(self) -> Tensor:
        soft = F.interpolate(self._normal(1, CHANNELS, 12, 18), (HIGH * 2, WIDE * 2), mode="bicubic")
        return (soft + 0.35 * self._normal(*soft.shape) + 0.6 * self._normal(1, CHANNELS, 1, 1))[0]

    def next(self, fade: float = 0.0) -> Tensor:
        """A block. fade: share of `other` in the scene."""
        frames = []
        for _ in range(self.block):
            time = self.shown * 0.15
            row, col = int((1 + math.sin(0.7 * time)) * HIGH / 4), int((1 + math.cos(time)) * WIDE / 4)
            scene = torch.lerp(self.scene, self.other, fade)[:, row : row + HIGH, col : col + WIDE]
            frames.append(scene + 0.05 * self._normal(*scene.shape))
            self.shown += 1
        return torch.stack(frames, 1).unsqueeze(0)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.chance)


def editor(seed: int) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    mix = 0.7 * torch.eye(CHANNELS) + 0.15 * torch.randn((CHANNELS, CHANNELS), generator=chance)
    return mix, 0.3 * torch.randn((CHANNELS, 1, 1, 1), generator=chance)


@dataclass
class Faults:
    """What a block's output departs by, and by how much more each next."""

    colour: float = 0.0
    contrast: float = 0.0
    detail: float = 0.0
    kept: float = 1.0
    now: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))

    def spoil(self, latents: Tensor) -> Tensor:
        frames = latents[0].transpose(0, 1)
        coarse = F.avg_pool2d(frames, 3, 1, 1, count_include_pad=False)
        centre = coarse.mean((0, 2, 3), keepdim=True)
        frames = frames + (coarse - centre) * math.expm1(self.now["contrast"])
        frames = frames + (frames - coarse) * math.expm1(self.now["detail"])
        frames[:, 3] += self.now["colour"]
        return frames.transpose(0, 1).unsqueeze(0)

    def add_up(self, correction: Tensor) -> None:
        """The next block departs as this one, corrected, and a little more."""
        mine = (correction[3], correction[CHANNELS : 2 * CHANNELS].mean(), correction[-1])
        for kind, corrected in zip(KINDS, mine, strict=True):
            left = self.now[kind] + float(corrected)
            self.now[kind] = self.kept * left + getattr(self, kind)


@dataclass
class Run:
    """A guarded stream; `corrections` block by block."""

    block: int = 3
    seed: int = 0
    faults: Faults = field(default_factory=Faults)
    corrections: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.camera = Camera(self.seed, self.block)
        self.guard = DriftGuard(StreamShape(320, 192, self.block, 3, 9), CHANNELS)
        self.edit = editor(1)

    def go(self, blocks: int, fade: float = 0.0) -> None:
        """fade: of the camera's scene, over all the blocks."""
        for index in range(blocks):
            source = self.camera.next(fade * (index + 1) / blocks)
            mix, offset = self.edit
            latents = 1.5 * torch.tanh((torch.einsum("dc,bcfhw->bdfhw", mix, source) + offset) / 1.5)
            spoiled = self.faults.spoil(latents)
            corrected = self.guard.correct(spoiled, source)
            self.corrections.append(self.guard.correction)
            assert torch.equal(corrected, spoiled) == (not self.corrections[-1].any())
            assert corrected.shape == source.shape
            self.faults.add_up(self.corrections[-1])

    @property
    def largest(self) -> float:
        return max(float(correction.abs().max()) for correction in self.corrections)

    def assert_bounded(self) -> None:
        """By step and in all, by kind."""
        found = torch.stack([torch.zeros(2 * CHANNELS + 1), *self.corrections])
        parts = found.split((CHANNELS, CHANNELS, 1), 1)
        for part, bound, step in zip(parts, BOUND, STEP, strict=True):
            assert float(part.abs().max()) <= bound + 1e-6
            assert float(part.diff(dim=0).abs().max()) <= step * self.block / 3 + 1e-6


@pytest.mark.parametrize("block", [3, 1])
def test_without_drift_it_does_exactly_nothing(block: int) -> None:
    run = Run(block)
    run.go(390 // block)
    assert run.largest == 0.0
    assert run.guard.report().phase == "guarding"


def test_what_it_takes_for_drift_by_mistake_stays_unseen() -> None:
    for seed in (1, 2):
        run = Run(seed=seed)
        run.go(130)
        assert run.largest < STEP[0]


@pytest.mark.parametrize(
    ("kind", "rate", "kept"),
    [
        ("colour", 0.004, 1.0),
        ("colour", -0.008, 0.99),
        ("contrast", 0.004, 1.0),
        ("detail", -0.004, 1.0),  # blur
        ("detail", -0.008, 0.99),
    ],
)
def test_drift_is_led_back(kind: str, rate: float, kept: float) -> None:
    """Over 240 blocks (2 to 3 minutes): to less than half of what it comes to without the guard."""
    run = Run(faults=Faults(kept=kept, **{kind: rate}))
    run.go(240)
    unguarded = sum(rate * kept**age for age in range(240))
    assert abs(run.faults.now[kind]) < 0.5 * abs(unguarded)
    report = run.guard.report()
    assert getattr(report, kind) > 0
    mine = {"colour": 3, "contrast": slice(CHANNELS, 2 * CHANNELS), "detail": -1}[kind]
    assert float(torch.stack(run.corrections)[:, mine].mean()) * rate < 0, "the other way"
    run.assert_bounded()
    # It has come to rest, and does not swing.
    last = torch.stack(run.corrections[-40:])
    assert float(last.std(0).max()) < 0.01


def test_with_blocks_of_one_latent_too() -> None:
    run = Run(1, faults=Faults(colour=0.0015))
    run.go(600)
    assert abs(run.faults.now["colour"]) < 0.5 * 0.0015 * 600
    run.assert_bounded()


def test_a_scene_cut_is_no_drift() -> None:
    run = Run()
    run.go(70)
    assert run.guard.report().phase == "guarding"
    run.camera.scene = run.camera.another()
    run.go(3)
    assert run.guard.report().phase == "elsewhere"
    run.go(100)
    assert run.guard.report().phase == "guarding", "the other scene's relation was learned"
    assert run.largest == 0.0


def test_a_cut_to_a_scene_of_the_same_colours_is_no_drift() -> None:
    """It is compared with what was learned, and can be taken for a little drift: far below the bound, and in
    steps that nobody sees."""
    for seed in range(3):
        run = Run(seed=seed)
        run.go(70)
        scene, other = run.camera.scene, run.camera.another()
        run.camera.scene = other + (scene - other).mean((1, 2), keepdim=True)
        run.go(60)
        assert run.largest < BOUND[1] / 2
        run.assert_bounded()


def test_a_scene_that_comes_back_finds_what_was_learned_of_it() -> None:
    run = Run(faults=Faults(colour=0.004))
    run.go(90)
    learned, judged = run.guard._mean.clone(), run.guard._now.clone()
    scene = run.camera.scene
    run.camera.scene = run.camera.another()
    run.go(20)
    assert run.guard.report().phase == "elsewhere"
    assert torch.equal(run.guard._now, judged), "what is seen elsewhere is no evidence"
    run.camera.scene = scene
    run.go(150)
    assert torch.equal(run.guard._mean, learned)
    assert 0 < run.faults.now["colour"] < 0.5 * 0.004 * 260


def test_a_source_that_becomes_another_is_no_drift() -> None:
    """A slow fade to another scene, as by a door or at nightfall: what was learned is let go in time."""
    run = Run()
    run.go(70)
    run.camera.other = run.camera.another()
    run.go(60, fade=1.0)
    run.camera.scene = run.camera.other
    run.go(100)
    assert run.largest < 0.05
    assert not run.corrections[-1].any()


def test_another_instruction_is_no_drift() -> None:
    run = Run()
    run.go(70)
    run.edit = editor(2)
    run.guard.restart()
    run.go(100)
    assert run.largest == 0.0
    # Without being told it would have been taken for one: the test above can fail.
    blind = Run()
    blind.go(70)
    blind.edit = editor(2)
    blind.go(40)
    assert blind.largest > 0.05
    blind.assert_bounded()


def test_a_restart_leads_the_correction_back_in_steps() -> None:
    run = Run(faults=Faults(colour=0.01))
    run.go(150)
    before = run.largest
    assert before > STEP[0], "more than a step"
    run.faults = Faults()
    run.guard.restart()
    run.go(20)
    assert not run.corrections[-1].any()
    run.assert_bounded()


def test_a_sudden_fault_is_not_met_suddenly() -> None:
    run = Run()
    run.go(70)
    run.faults = Faults(kept=0.0)
    for _ in range(60):
        run.faults.now.update(colour=4.0, detail=-3.0, contrast=-2.0)
        run.go(1)
    assert run.corrections[-1].any()
    run.assert_bounded()


def test_what_is_no_number_is_no_evidence() -> None:
    run = Run()
    run.go(70)
    source = run.camera.next()
    run.guard.correct(torch.full_like(source, float("nan")), source)
    run.go(40)
    assert run.largest == 0.0


def test_a_flat_picture_divides_by_nothing() -> None:
    run = Run()
    run.go(70)
    black = torch.full_like(run.camera.next(), -1.0)
    for _ in range(60):
        assert run.guard.correct(black, black).isfinite().all()
    run.go(70)
    assert run.corrections[-1].isfinite().all()


def test_a_stream_is_guarded_before_its_ring_is_written() -> None:
    made = network()
    engine, cross = EagerEngine(made), instruction(made, "first")
    guarded = opened(engine, cross)
    plain = opened(engine, cross, sampling=Sampling(drift_guard=False))
    assert plain.drift is None
    assert same(edited(guarded, range(4)), edited(plain, range(4))), "nothing while it has not learned"
    assert guarded.drift is not None
    guarded.drift._bound.fill_(1.0)
    guarded.drift._correction[0] = 0.5
    guarded.drift._step.zero_()
    one, other = edited(guarded, [4])[0], edited(plain, [4])[0]
    assert torch.allclose(one[0, 0], other[0, 0] + 0.5, atol=1e-5)
    kept, _ = next(guarded._history.last(1))
    assert torch.equal(kept, one)
    assert torch.equal(guarded._tensors["noisy"], one), "the clean pass saw it"
