"""A block's passes, one by one, against the loop written out."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from wan_passes import give, instruct  # noqa: E402
from wan_streams import ONES, THREES, instruction, network, source  # noqa: E402

from gpu.wan.config import StreamShape  # noqa: E402
from gpu.wan.engines.eager import EagerEngine, EagerPass  # noqa: E402
from gpu.wan.network import Network  # noqa: E402
from gpu.wan.ring import Ring  # noqa: E402
from gpu.wan.rope import fill  # noqa: E402
from gpu.wan.sampler import Sampler, Sampling, noise  # noqa: E402

SIGMAS = {4: (1.0, 0.9375, 5 / 6, 0.625), 2: (1.0, 5 / 6)}


@pytest.fixture(scope="module")
def made() -> Network:
    return network()


def opened(made: Network, shape: StreamShape) -> EagerPass:
    run = EagerEngine(made).open(shape)
    instruct(run, instruction(made, "first"))
    return run


@pytest.mark.parametrize("shape", [THREES, ONES])
@pytest.mark.parametrize("steps", [4, 2])
@pytest.mark.parametrize("drawn", ["kept", "fresh"])
def test_the_loop_written_out(made: Network, shape: StreamShape, steps: int, drawn: str) -> None:
    run, plain = opened(made, shape), opened(made, shape)
    sampler = Sampler(run, Sampling(steps=steps, seed=9, noise=drawn))  # type: ignore[arg-type]
    for block in range(3):
        of = source(block, shape)
        sampler.place(block, of)
        found = sampler.sample(block)
        fill(plain.tensors, Ring(shape), block)
        x = noise(9, block, 0, tuple(of.shape))
        for step, sigma in enumerate(SIGMAS[steps]):
            give(plain, x, of, 1000 * sigma)
            plain.run()
            clean = x - sigma * plain.tensors["flow"]
            if step + 1 < steps:
                sample = noise(9, block, step + 1 if drawn == "fresh" else 0, tuple(of.shape))
                x = (1 - SIGMAS[steps][step + 1]) * clean + SIGMAS[steps][step + 1] * sample
        assert torch.allclose(found, clean, atol=1e-4)
        sampler.commit(found)
        give(plain, clean, of, 0.0)
        plain.run()
        for layer in range(made.config.layers):
            for ring in (f"ring_k.{layer}", f"ring_v.{layer}"):
                assert torch.allclose(run.tensors[ring], plain.tensors[ring], atol=1e-4)


def test_the_clean_pass_overwrites_the_blocks_place_and_no_other(made: Network) -> None:
    run = opened(made, THREES)
    sampler = Sampler(run, Sampling())
    for block in range(2):
        sampler.place(block, source(block))
        clean = sampler.sample(block)
        before = run.tensors["ring_v.1"].clone()
        sampler.commit(clean)
        changed = (run.tensors["ring_v.1"] != before).any(dim=-1)[0, 0]
        mine = torch.zeros_like(changed)
        mine[block * THREES.block_tokens : (block + 1) * THREES.block_tokens] = True
        assert torch.equal(changed, mine)


def test_noise_is_of_seed_block_and_draw() -> None:
    """Each number counts, neighbours share nothing, and it is normal."""
    shape = (1, 16, 3, 8, 8)
    samples = [noise(*numbers, shape) for numbers in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (10, 0, 0))]
    assert torch.equal(noise(0, 1, 0, shape), samples[2])
    together = torch.stack([sample.flatten() for sample in samples])
    assert (torch.corrcoef(together) - torch.eye(5)).abs().max() < 0.1
    assert abs(float(together.mean())) < 0.03
    assert abs(float(together.std()) - 1) < 0.03
    assert noise(2**80, 10**9, 3, shape).isfinite().all()


def test_noise_is_the_same_on_every_machine() -> None:
    """Numbers from another run, to be kept: a replay of a timeline must give the same bytes."""
    found = noise(7, 3, 0, (1, 16, 1, 2, 2)).flatten()[:4]
    expected = torch.tensor(
        [-1.2194809913635254, 0.6897369623184204, 0.6405377388000488, -0.48756927251815796]
    )
    assert torch.allclose(found, expected, atol=1e-6, rtol=0)


def test_an_engine_is_told_when_no_slot_is_empty(made: Network) -> None:
    run = opened(made, ONES)
    sampler = Sampler(run, Sampling())
    told = []
    for block in range(14):
        sampler.place(block, source(block, ONES))
        told.append(run.full)
    assert told == [False] * 11 + [True] * 3
    sampler.place(4, source(4, ONES))
    assert not run.full, "the ring was started again"
