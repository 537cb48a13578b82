"""A stream over the ring, against a plain one that forgets nothing; causality; batches."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from wan_chance import error, normal, weighed  # noqa: E402
from wan_naive import Naive  # noqa: E402
from wan_passes import SMALL, give, instruct, latents, run_block  # noqa: E402

from gpu.wan.config import StreamShape  # noqa: E402
from gpu.wan.engines.eager import EagerEngine, EagerPass  # noqa: E402
from gpu.wan.network import Network  # noqa: E402
from gpu.wan.ring import Ring  # noqa: E402
from gpu.wan.rope import fill  # noqa: E402

TEXT = normal(5, "text", 1, SMALL.text_len, SMALL.text_dim)


@pytest.fixture(scope="module")
def network() -> Network:
    return weighed(SMALL, 5)


def opened(network: Network, shape: StreamShape, batch: int = 1) -> EagerPass:
    run = EagerEngine(network).open(shape, batch)
    instruct(run, network.condition(TEXT))
    return run


@pytest.mark.parametrize(("block", "sink", "window"), [(3, 3, 6), (1, 2, 3), (1, 0, 2)])
def test_the_ring_is_a_window_over_everything(network: Network, block: int, sink: int, window: int) -> None:
    """201 latents; both kinds of pass of each block, the clean one's keys in place of the noisy one's."""
    shape = StreamShape(32, 32, block, sink, window)
    run, naive = opened(network, shape), Naive(network, TEXT[0], sink, window)
    for index in range(201 // block):
        found = run_block(run, index, 5)
        source = latents(5, f"source.{index}", shape)[0]
        for flow, name, timestep in zip(found, ("noisy", "clean"), (937.5, 0.0), strict=True):
            noisy = latents(5, f"{name}.{index}", shape)[0]
            expected = naive.run(noisy, source, timestep, index * block)
            assert error(flow[0], expected) <= 2e-5, f"block {index}, {name}"


@pytest.mark.parametrize("block", [1, 3])
def test_streaming_is_one_pass_with_the_mask_of_training(network: Network, block: int) -> None:
    """Clean latents block by block, against all at once where each sees its own block and those before."""
    shape = StreamShape(32, 48, block, 0, 12)
    run, count = opened(network, shape), 12 // block
    clips = [
        torch.cat([latents(5, f"{kind}.{n}", shape)[0] for n in range(count)], 1)
        for kind in ("clean", "source")
    ]
    of = torch.arange(12) // block
    expected = Naive(network, TEXT[0], 0, 12).run(*clips, 0.0, 0, of[None] <= of[:, None])
    found = torch.cat([run_block(run, index, 5)[1][0] for index in range(count)], 1)
    assert error(found, expected) <= 2e-5


def test_it_is_causal(network: Network) -> None:
    """What the source shows later changes nothing earlier, and what it showed before does."""
    shape = StreamShape(32, 32, 1, 1, 3)

    def flows(changed: int) -> list[torch.Tensor]:
        run, ring = opened(network, shape), Ring(shape)
        made = []
        for index in range(6):
            fill(run.tensors, ring, index)
            seed = 6 if index == changed else 5
            give(run, latents(5, f"clean.{index}", shape), latents(seed, f"source.{index}", shape), 0.0)
            run.run()
            made.append(run.tensors["flow"].clone())
        return made

    plain, other = flows(-1), flows(2)
    same = [torch.equal(one, two) for one, two in zip(plain, other, strict=True)]
    assert same == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]  # 2 is in the window of 3 and 4, and through them of 5


def test_what_lies_in_empty_slots_does_not_matter(network: Network) -> None:
    shape = StreamShape(32, 32, 1, 1, 3)
    run, soiled = opened(network, shape), opened(network, shape)
    for name, tensor in soiled.tensors.items():
        if name.startswith("ring"):
            tensor.fill_(100.0)
    for index in range(5):
        for one, two in zip(run_block(run, index), run_block(soiled, index), strict=True):
            assert torch.equal(one, two)


def test_two_streams_in_a_batch_are_two_streams(network: Network) -> None:
    """One is just beginning, the other's window has long rolled; each has an instruction of its own."""
    shape, starts = StreamShape(48, 32, 3, 3, 6), (0, 5)
    engine = EagerEngine(network)
    both = engine.open(shape, 2)
    texts = torch.cat((TEXT, normal(6, "text", *TEXT.shape)))
    instruct(both, network.condition(texts))
    singles = []
    for entry, start in enumerate(starts):
        run = engine.open(shape)
        instruct(run, network.condition(texts[entry : entry + 1]))
        for index in range(start):
            run_block(run, index, entry)
        for name, tensor in both.tensors.items():
            if name.startswith("ring"):
                tensor[entry].copy_(run.tensors[name][0])
        singles.append(run)
    ring = Ring(shape)
    for step in range(4):
        for entry, (run, start) in enumerate(zip(singles, starts, strict=True)):
            fill(both.tensors, ring, start + step, entry)
            fill(run.tensors, ring, start + step)
            timestep = (1000.0, 625.0)[entry]
            give(run, latents(entry, f"a.{step}", shape), latents(entry, f"b.{step}", shape), timestep)
            for name in ("noisy", "source", "timestep"):
                both.tensors[name][entry].copy_(run.tensors[name][0])
            run.run()
        both.run()
        assert both.tensors["write_index"].unique().numel() == 2
        for entry, run in enumerate(singles):
            assert error(both.tensors["flow"][entry], run.tensors["flow"][0]) <= 1e-5


def test_nothing_moves_and_nothing_else_is_written(network: Network) -> None:
    shape = StreamShape(32, 32, 1, 1, 3)
    run = opened(network, shape)
    for index in range(3):
        run_block(run, index)
    where = {name: tensor.data_ptr() for name, tensor in run.tensors.items()}
    give(run, latents(9, "noisy", shape), latents(9, "source", shape), 1000.0)
    before = {name: tensor.clone() for name, tensor in run.tensors.items()}
    place = fill(run.tensors, Ring(shape), 3)
    run.run()
    assert {name: tensor.data_ptr() for name, tensor in run.tensors.items()} == where
    own = slice(place.write_index, place.write_index + shape.block_tokens)
    for name, tensor in run.tensors.items():
        if name.startswith("ring"):
            assert not torch.equal(tensor[:, :, own], before[name][:, :, own])
            tensor[:, :, own] = before[name][:, :, own]
            assert torch.equal(tensor, before[name])
        elif name.startswith(("cross", "noisy", "source", "timestep")):
            assert torch.equal(tensor, before[name])


def test_a_full_ring_needs_no_mask(network: Network) -> None:
    shape = StreamShape(32, 32, 1, 1, 3)
    run = opened(network, shape)
    for index in range(6):
        run_block(run, index)
    masked = run.tensors["flow"].clone()
    run.full = True
    run.run()
    assert error(run.tensors["flow"], masked) <= 1e-6
    run.tensors["attend"].zero_()  # and it is not looked at
    run.run()
    assert error(run.tensors["flow"], masked) <= 1e-6
