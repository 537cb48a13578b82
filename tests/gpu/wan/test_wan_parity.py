"""The network against others' implementations of it, with the same weights by chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from wan_chance import error, normal, weighed  # noqa: E402
from wan_passes import SMALL, give, instruct, latents, run_block  # noqa: E402

from gpu.wan.config import StreamShape  # noqa: E402
from gpu.wan.engines.eager import EagerEngine, EagerPass  # noqa: E402
from gpu.wan.ring import Ring  # noqa: E402
from gpu.wan.rope import fill  # noqa: E402

TOLERANCE = 1e-4
# diffusers' names, and ours for what they stand for.
RENAMED = (
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    (".attn1.", ".self_attn."),
    (".attn2.", ".cross_attn."),
    (".to_q.", ".q."),
    (".to_k.", ".k."),
    (".to_v.", ".v."),
    (".to_out.0.", ".o."),
    (".norm2.", ".norm3."),
    (".ffn.net.0.proj.", ".ffn.0."),
    (".ffn.net.2.", ".ffn.2."),
    ("proj_out.", "head.head."),
)


def ours(name: str) -> str:
    for theirs, own in RENAMED:
        name = name.replace(theirs, own)
    return name.replace("scale_shift_table", "modulation" if name.startswith("blocks") else "head.modulation")


def opened(shape: StreamShape, seed: int, text: Any, **options: Any) -> EagerPass:
    network = weighed(SMALL, seed)
    run = EagerEngine(network, **options).open(shape)
    instruct(run, network.condition(text))
    return run


@pytest.mark.parametrize("timestep", [1000.0, 625.0, 0.0])
def test_one_block_over_a_whole_clip_is_diffusers_wan(timestep: float) -> None:
    diffusers = pytest.importorskip("diffusers")
    other = diffusers.WanTransformer3DModel(
        num_attention_heads=SMALL.heads,
        attention_head_dim=SMALL.head_dim,
        in_channels=SMALL.in_channels,
        out_channels=SMALL.latent_channels,
        text_dim=SMALL.text_dim,
        freq_dim=SMALL.freq_dim,
        ffn_dim=SMALL.ffn,
        num_layers=SMALL.layers,
        rope_max_seq_len=32,
    ).eval()
    shape = StreamShape(80, 48, block=5, sink=0, window=5)
    text = normal(1, "text", 1, SMALL.text_len, SMALL.text_dim)
    weights = weighed(SMALL, 1).state_dict()
    theirs = {name: weights.pop(ours(name)).view_as(value) for name, value in other.state_dict().items()}
    assert not weights  # every one of ours has its place there
    other.load_state_dict(theirs)

    noisy, source = latents(1, "noisy", shape), latents(1, "source", shape)
    with torch.inference_mode():
        expected = other(torch.cat((noisy, source), 1), torch.tensor([timestep]), text, return_dict=False)[0]
    run = opened(shape, 1, text)
    fill(run.tensors, Ring(shape), 0)
    give(run, noisy, source, timestep)
    run.run()
    assert error(run.tensors["flow"], expected) <= TOLERANCE


@pytest.mark.parametrize(
    ("case", "block", "sink", "window", "blocks"),
    [
        ("three", 3, 0, 6, 6),  # rolls from the third block on
        ("three", 3, 3, 3, 2),  # a sink makes no difference before
        ("one", 1, 0, 4, 11),
        ("one", 1, 2, 2, 4),
    ],
)
def test_a_stream_is_that_of_self_forcing(case: str, block: int, sink: int, window: int, blocks: int) -> None:
    """self_forcing.npz: flows of guandeh17/Self-Forcing's CausalWanModel with its cache of rotated keys, its
    flash attention replaced by torch's. Configuration: wan_passes.SMALL, weights by wan_chance.weigh with
    seed 7, latents and text by wan_chance.normal as here and in wan_passes.run_block. Each block has a pass
    at 937.5, then one at 0: [pass, 1, channels, block, rows, columns]. There the window rolls by moving its
    keys, and positions count from the stream's start."""
    expected = torch.from_numpy(np.load(Path(__file__).parent / "self_forcing.npz")[case])
    text = normal(7, "text", 1, SMALL.text_len, SMALL.text_dim)
    text[:, 5:] = 0  # the padding, which is attended to
    run = opened(StreamShape(48, 32, block, sink, window), 7, text)
    for index in range(blocks):
        for found, wanted in zip(run_block(run, index, 7), expected[2 * index : 2 * index + 2], strict=True):
            assert error(found, wanted) <= TOLERANCE, f"block {index}"


def test_in_bfloat16_it_is_close() -> None:
    """Over a rolled window; bfloat16 has eight bits, and every layer rounds a few times."""
    shape = StreamShape(48, 32, 3, 3, 6)
    text = normal(3, "text", 1, SMALL.text_len, SMALL.text_dim)
    exact, short = opened(shape, 3, text), opened(shape, 3, text, dtype=torch.bfloat16)
    for index in range(5):
        for expected, found in zip(run_block(exact, index, 3), run_block(short, index, 3), strict=True):
            assert float((found - expected).norm() / expected.norm()) < 0.02
            assert float((found - expected).norm()) > 0  # it did run in bfloat16
