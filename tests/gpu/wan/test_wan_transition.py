"""From one instruction to another: in even shares, and exactly to the other."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from wan_passes import SMALL  # noqa: E402
from wan_streams import THREES, edited, instruction, network, opened, same  # noqa: E402

from gpu.wan.engines.eager import EagerEngine  # noqa: E402
from gpu.wan.network import Network  # noqa: E402
from gpu.wan.transition import Cross, Transition, blend  # noqa: E402


@pytest.fixture(scope="module")
def made() -> Network:
    return network()


@pytest.fixture(scope="module")
def engine(made: Network) -> EagerEngine:
    return EagerEngine(made)


def tensors_of(cross: Cross) -> dict[str, torch.Tensor]:
    return {
        f"cross_{kind}.{layer}": pair[n].clone()
        for layer, pair in enumerate(cross)
        for n, kind in enumerate("kv")
    }


def distances(tensors: dict[str, torch.Tensor], cross: Cross) -> list[float]:
    """To `cross`, of each tensor."""
    return [float((tensors[name] - wanted).norm()) for name, wanted in tensors_of(cross).items()]


@pytest.mark.parametrize("blocks", [0, 1, 2, 5])
def test_it_comes_nearer_with_every_block_and_ends_at_the_new(made: Network, blocks: int) -> None:
    old, new = instruction(made, "first"), instruction(made, "second")
    tensors = tensors_of(old)
    transition = Transition(tensors, SMALL.layers)
    assert not transition.running
    transition.begin(new, blocks)
    assert distances(tensors, old) == [0.0] * 4, "nothing is written before the first step"
    before, shares = distances(tensors, new), []
    ends = list(zip(old, new, strict=True))
    for step in range(max(1, blocks)):
        assert transition.running
        assert transition.step() == (step == max(1, blocks) - 1)
        shares.append(transition.share)
        now = distances(tensors, new)
        for layer, (a, b) in enumerate(ends):
            keys, values = blend(a, b, transition.share)
            assert torch.allclose(tensors[f"cross_k.{layer}"], keys, atol=1e-5)
            assert torch.allclose(tensors[f"cross_v.{layer}"], values, atol=1e-5)
        assert all(a < b for a, b in zip(now, before, strict=True))
        before = now
    assert shares == pytest.approx([(n + 1) / max(1, blocks) for n in range(max(1, blocks))])
    assert all(torch.equal(tensors[name], wanted) for name, wanted in tensors_of(new).items())
    assert not transition.running


def test_mixed_keys_keep_their_length() -> None:
    generator = torch.Generator().manual_seed(0)
    old, new = (tuple(torch.randn((1, 3, 7, 8), generator=generator) for _ in range(2)) for _ in range(2))
    keys, values = blend(old, new, 0.25)
    length = [one.square().sum((1, 3)).sqrt() for one in (old[0], new[0], keys)]
    assert torch.allclose(length[2], 0.75 * length[0] + 0.25 * length[1], atol=1e-4)
    assert torch.allclose(values, 0.75 * old[1] + 0.25 * new[1], atol=1e-6)
    same_k, same_v = blend(old, old, 0.5)
    assert torch.allclose(same_k, old[0], atol=1e-6)
    assert torch.equal(same_v, old[1])
    opposite, _ = blend(old, (-old[0], old[1]), 0.5)
    assert opposite.isfinite().all()
    assert float(opposite.abs().max()) < 1e-3, "keys with no direction between them do not become chance"


def test_asked_again_on_the_way_it_goes_on_from_there(made: Network) -> None:
    tensors = tensors_of(instruction(made, "first"))
    transition = Transition(tensors, SMALL.layers)
    transition.begin(instruction(made, "second"), 4)
    transition.step()
    transition.step()
    half = {name: tensor.clone() for name, tensor in tensors.items()}
    third = instruction(made, "third")
    transition.begin(third, 100)
    transition.step()
    step = max(float((tensors[name] - half[name]).abs().max()) for name in tensors)
    assert 0 < step < 0.1, "no jump"
    transition.begin(third, 0)
    transition.step()
    assert distances(tensors, third) == [0.0] * 4


def test_both_ends_are_let_go_when_it_is_over(made: Network) -> None:
    transition = Transition(tensors_of(instruction(made, "first")), SMALL.layers)
    transition.begin(instruction(made, "second"), 2)
    transition.step()
    assert transition._old is not None
    transition.step()
    assert transition._old is None
    assert transition._new is None


def test_a_stream_after_a_transition_is_as_if_it_was_told_at_once(made: Network, engine: EagerEngine) -> None:
    """The blocks on the way differ, what is told to the network afterwards does not."""
    told = []
    for blocks in (0, 3):
        stream = opened(engine, instruction(made, "first"))
        edited(stream, range(4))
        stream.condition(instruction(made, "second"), blocks)
        edited(stream, range(4, 8))
        told.append([stream._tensors[f"cross_{kind}.{layer}"].clone() for kind in "kv" for layer in range(2)])
    assert same(*told)


def test_the_ring_is_recached_once_when_the_new_instruction_is_alone(
    made: Network, engine: EagerEngine
) -> None:
    stream = opened(engine, instruction(made, "first"))
    edited(stream, range(6))
    passes: list[bool] = []
    run = stream._pass.run
    stream._pass.run = lambda pruned=False: (passes.append(pruned), run(pruned))  # type: ignore[method-assign]
    stream.condition(instruction(made, "second"), transition_blocks=3)
    counts = []
    for index in range(6, 11):
        passes.clear()
        edited(stream, [index])
        counts.append(len(passes))
    window = THREES.window // THREES.block
    assert counts == [5, 5, 5 + window, 5, 5]
