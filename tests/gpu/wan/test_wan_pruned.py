"""The mask cache: passes that compute the self-attention of some tokens, and remember the others'."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402

from wan_chance import error, normal, weighed  # noqa: E402
from wan_passes import SMALL, give, instruct, latents, run_block  # noqa: E402

from gpu.wan.bindings import kept_tokens  # noqa: E402
from gpu.wan.config import StreamShape  # noqa: E402
from gpu.wan.engines.eager import EagerEngine, EagerPass  # noqa: E402
from gpu.wan.network import Network  # noqa: E402
from gpu.wan.ring import Ring  # noqa: E402
from gpu.wan.rope import fill  # noqa: E402

SHAPE = StreamShape(64, 48, 3, 3, 6)  # 12 tokens a latent, of which a pruned pass computes 3
TOKENS, ONE = SHAPE.block_tokens, replace(SMALL, layers=1)


@pytest.fixture(scope="module")
def network() -> Network:
    return weighed(SMALL, 8)


def rolled(network: Network, mask_cache: bool = True) -> EagerPass:
    """A stream whose window has rolled, ready for block 5, which has had its first, full pass."""
    config = network.config
    run = EagerEngine(network).open(SHAPE, mask_cache=mask_cache)
    instruct(run, network.condition(normal(8, "text", 1, config.text_len, config.text_dim)))
    for index in range(5):
        run_block(run, index, 8)
    fill(run.tensors, Ring(SHAPE), 5)
    give(run, latents(8, "first", SHAPE), latents(8, "source.5", SHAPE), 1000.0)
    run.run()
    return run


def kept(run: EagerPass, seed: int = 0) -> torch.Tensor:
    """Tokens by chance, as many of each latent, rising."""
    generator = torch.Generator().manual_seed(seed)
    count = kept_tokens(SHAPE)
    rows = [
        torch.randperm(SHAPE.latent_tokens, generator=generator)[:count].sort().values
        + latent * SHAPE.latent_tokens
        for latent in range(SHAPE.block)
    ]
    return torch.cat(rows)


def second(run: EagerPass) -> None:
    give(run, latents(8, "second", SHAPE), latents(8, "source.5", SHAPE), 937.5)


def test_the_mask_cache_changes_no_full_pass(network: Network) -> None:
    one, two = rolled(network), rolled(network, mask_cache=False)
    assert torch.equal(one.tensors["flow"], two.tensors["flow"])
    assert all(f"delta.{layer}" in one.tensors for layer in range(SMALL.layers))
    assert "delta.0" not in two.tensors


def test_a_full_pass_leaves_what_self_attention_changed(network: Network) -> None:
    """With every projection to the tokens cut off but its bias, what is left behind is that bias."""
    run = rolled(network)
    deltas = [run.tensors[f"delta.{layer}"].clone() for layer in range(SMALL.layers)]
    assert all(float(delta.std()) > 0.01 for delta in deltas)
    second(run)
    run.run()  # another full pass, other deltas
    for layer, delta in enumerate(deltas):
        assert error(run.tensors[f"delta.{layer}"], delta) > 0.01
    blunt = weighed(SMALL, 8)
    for block in blunt.blocks:
        block.self_attn.o.weight.zero_()
    run = rolled(blunt)
    for layer, block in enumerate(blunt.blocks):
        delta = run.tensors[f"delta.{layer}"]
        assert torch.allclose(delta, block.self_attn.o.bias.expand_as(delta))


def test_with_every_token_kept_it_is_the_full_pass(network: Network) -> None:
    full, pruned = rolled(network), rolled(network)
    second(full)
    full.run()
    second(pruned)
    given = {name: tensor for name, tensor in pruned.tensors.items() if name != "flow"}
    given["kept"] = torch.arange(TOKENS)[None]  # more than a stream's `kept` has room for
    flow = network(**given)
    assert error(flow, full.tensors["flow"]) <= 1e-6
    for name, tensor in full.tensors.items():
        if name.startswith(("ring", "delta")):
            assert error(pruned.tensors[name], tensor) <= 1e-6


def test_kept_tokens_are_computed_and_the_others_remembered() -> None:
    """In the first layer everything that a token's self-attention sees is known: the kept tokens' change is
    that of a full pass whose other tokens had left the keys and values of the pass before in the ring."""
    network = weighed(ONE, 8)
    run = rolled(network)
    chosen = kept(run)
    others = torch.tensor([token for token in range(TOKENS) if token not in chosen])
    place = fill(run.tensors, Ring(SHAPE), 5)
    before = {name: tensor.clone() for name, tensor in run.tensors.items()}
    second(run)
    run.tensors["kept"].copy_(chosen)
    run.run(pruned=True)
    own = slice(place.write_index, place.write_index + TOKENS)
    full = rolled(network)
    second(full)
    full.run()
    for name in ("ring_k.0", "ring_v.0"):
        found, old = run.tensors[name][:, :, own], before[name][:, :, own]
        assert error(found[:, :, chosen], full.tensors[name][:, :, own][:, :, chosen]) <= 1e-6
        assert torch.equal(found[:, :, others], old[:, :, others])
        assert not torch.equal(found[:, :, chosen], old[:, :, chosen])
    delta = run.tensors["delta.0"]
    assert torch.equal(delta[:, others], before["delta.0"][:, others])
    # The same by hand: queries of all tokens over the ring as the pruned pass left it.
    attention = network.blocks[0].self_attn
    seen: list[torch.Tensor] = []
    hook = attention.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    full.run()
    hook.remove()
    rings = run.tensors["ring_k.0"], run.tensors["ring_v.0"]
    tables = [run.tensors[name] for name in ("query_cos", "query_sin", "key_cos", "key_sin")]
    change = attention(seen[0], tuple(tables[:2]), tuple(tables[2:]), None, lambda k, v: rings)
    assert error(delta[:, chosen], change[:, chosen]) <= 1e-6
    assert error(delta[:, others], change[:, others]) > 0.01


def test_a_pruned_pass_is_near_a_full_one_and_not_it(network: Network) -> None:
    """Feed-forward and cross attention see the new latents everywhere."""
    full, pruned, stale = rolled(network), rolled(network), rolled(network).tensors["flow"].clone()
    for run in (full, pruned):
        second(run)
    full.run()
    pruned.tensors["kept"].copy_(kept(pruned))
    pruned.run(pruned=True)
    expected = full.tensors["flow"]
    near = float((pruned.tensors["flow"] - expected).norm() / expected.norm())
    assert 0.01 < near < 0.6 * float((stale - expected).norm() / expected.norm())


def test_two_streams_keep_tokens_of_their_own(network: Network) -> None:
    engine = EagerEngine(network)
    both = engine.open(SHAPE, 2, mask_cache=True)
    singles = [rolled(network), rolled(network)]
    for entry, run in enumerate(singles):
        second(run)
        run.tensors["noisy"].mul_(1 + entry)
        run.tensors["kept"].copy_(kept(run, entry))
        for name, tensor in run.tensors.items():
            both.tensors[name][entry].copy_(tensor[0])
        run.run(pruned=True)
    both.run(pruned=True)
    for entry, run in enumerate(singles):
        for name, tensor in run.tensors.items():
            if name == "flow" or name.startswith(("ring", "delta")):
                assert error(both.tensors[name][entry], tensor[0]) <= 1e-5
