"""The mask cache: which tokens it computes, when, what it saves and how far off it is."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from wan_streams import ONES, THREES, edited, instruction, network, opened, same, source  # noqa: E402

from gpu.errors import ModelError  # noqa: E402
from gpu.wan.bindings import kept_tokens  # noqa: E402
from gpu.wan.config import LIVEEDIT_1_3B, StreamShape  # noqa: E402
from gpu.wan.cost import flops  # noqa: E402
from gpu.wan.engines.eager import EagerEngine  # noqa: E402
from gpu.wan.importance import importance, kept  # noqa: E402
from gpu.wan.mask_cost import flop_share, mask_error  # noqa: E402
from gpu.wan.network import Network  # noqa: E402
from gpu.wan.sampler import Sampling  # noqa: E402


@pytest.fixture(scope="module")
def made() -> Network:
    return network()


@pytest.fixture(scope="module")
def engine(made: Network) -> EagerEngine:
    return EagerEngine(made)


def test_importance_is_the_change_of_a_token_scaled() -> None:
    """Against the definition, cell by cell."""
    generator = torch.Generator().manual_seed(1)
    edited, of = (torch.randn((2, 5, 3, 4, 6), generator=generator) for _ in range(2))
    found = importance(edited, of)
    assert found.shape == (2, 3, 2 * 3)
    for entry in range(2):
        tokens = torch.empty(3, 2, 3)
        for latent, row, col in torch.cartesian_prod(*(torch.arange(n) for n in (3, 2, 3))).tolist():
            part = (entry, slice(None), latent, slice(2 * row, 2 * row + 2), slice(2 * col, 2 * col + 2))
            tokens[latent, row, col] = (edited[part] - of[part]).square().mean()
        scaled = (tokens - tokens.min()) / (tokens.max() - tokens.min())
        assert torch.allclose(found[entry], scaled.flatten(1), atol=1e-6)
    assert float(importance(of, of).max()) == 0.0
    with pytest.raises(ModelError, match="differ"):
        importance(edited, of[:, :, :1])


@pytest.mark.parametrize("block", [1, 3])
def test_kept_are_the_most_important_of_each_latent_rising(block: int) -> None:
    generator = torch.Generator().manual_seed(2)
    scores = torch.rand((2, block, 40), generator=generator)
    found = kept(scores, 12)
    assert found.shape == (2, block * 12)
    assert found.dtype == torch.int64
    assert (found.diff(dim=1) > 0).all()
    for entry in range(2):
        for latent in range(block):
            mine = found[entry, latent * 12 : latent * 12 + 12] - latent * 40
            assert ((mine >= 0) & (mine < 40)).all()
            others = torch.ones(40, dtype=torch.bool)
            others[mine] = False
            assert scores[entry, latent, mine].min() >= scores[entry, latent, others].max()


def test_of_equally_important_tokens_the_first_are_kept() -> None:
    assert kept(torch.zeros(1, 2, 6), 2).tolist() == [[0, 1, 6, 7]]
    assert kept(torch.tensor([[[0.5, 0.9, 0.5, 0.5, 0.1]]]), 3).tolist() == [[0, 1, 2]]
    assert kept(torch.rand(1, 1, 4), 4).tolist() == [[0, 1, 2, 3]]
    with pytest.raises(ModelError, match="1 to 4"):
        kept(torch.zeros(1, 1, 4), 5)


@pytest.mark.parametrize("shape", [THREES, ONES])
def test_the_middle_steps_are_pruned_where_the_past_speaks_for_the_block(
    made: Network, engine: EagerEngine, shape: StreamShape
) -> None:
    """Not in block 0, and not while the instruction changes: another is changed elsewhere."""
    stream = opened(engine, instruction(made, "first"), shape, Sampling(mask_cache=True))
    passes: list[bool] = []
    run = stream._pass.run
    stream._pass.run = lambda pruned=False: (passes.append(pruned), run(pruned))  # type: ignore[method-assign]
    full, pruned = [False] * 5, [False, True, True, False, False]
    expected = []
    for index, wanted in enumerate((full, pruned, pruned, full, full, pruned)):
        if index == 3:
            stream.condition(instruction(made, "second"), transition_blocks=2)
        passes.clear()
        edited(stream, [index])
        expected.append(passes[-5:] == wanted)
    assert all(expected)


def test_the_choice_is_of_the_block_before(made: Network, engine: EagerEngine) -> None:
    stream = opened(engine, instruction(made, "first"), sampling=Sampling(mask_cache=True))
    for index in range(3):
        block = stream.edit(source(index))
        wanted = kept(importance(block, source(index)), kept_tokens(THREES))
        assert torch.equal(stream._tensors["kept"], wanted)


def test_switching_the_mask_cache_on_changes_only_what_it_prunes(made: Network, engine: EagerEngine) -> None:
    cross = instruction(made, "first")
    plain = edited(opened(engine, cross), range(2))
    cached = edited(opened(engine, cross, sampling=Sampling(mask_cache=True)), range(2))
    assert same(plain[:1], cached[:1]), "block 0 is computed in full"
    assert not same(plain[1:], cached[1:])


@pytest.mark.parametrize("shape", [THREES, ONES])
def test_its_error_is_measured(made: Network, engine: EagerEngine, shape: StreamShape) -> None:
    """A small part of what leaving the middle steps out altogether changes."""
    cross, sources = instruction(made, "first"), [source(index, shape) for index in range(5)]
    found = mask_error(engine, shape, cross, sources)
    assert found.blocks == 4
    four, two = (edited(opened(engine, cross, shape, Sampling(steps=steps)), [0])[0] for steps in (4, 2))
    assert 0 < found.all < 0.1 * float((two - four).norm() / four.norm())
    assert found.kept > 0
    assert found.reused > 0
    assert mask_error(engine, shape, cross, sources) == found
    with pytest.raises(ModelError, match="two blocks"):
        mask_error(engine, shape, cross, sources[:1])


def test_its_share_of_the_operations() -> None:
    shape, sampling = StreamShape(), Sampling(mask_cache=True)
    share = flop_share(LIVEEDIT_1_3B, shape, sampling)
    full, pruned = flops(LIVEEDIT_1_3B, shape), flops(LIVEEDIT_1_3B, shape, pruned=True)
    assert share == pytest.approx((3 * full + 2 * pruned) / (5 * full))
    assert 0.7 < share < 0.95
    assert flop_share(LIVEEDIT_1_3B, shape, Sampling(steps=2)) == 1.0
