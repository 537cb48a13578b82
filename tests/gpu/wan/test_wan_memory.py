"""Memory before it is taken: sums are what an engine really allocates, refusals name what would fit."""

from __future__ import annotations

import re

import pytest

from gpu.errors import NoMemory
from gpu.wan import memory
from gpu.wan.config import LIVEEDIT_1_3B, TOY, StreamShape

GIB = memory.GIB


@pytest.mark.parametrize("mask_cache", [False, True])
@pytest.mark.parametrize(("floats", "dtype"), [("float32", "float32"), ("bfloat16", "bfloat16")])
def test_a_streams_tensors_are_what_an_engine_allocates(
    floats: memory.FloatKind, dtype: str, mask_cache: bool
) -> None:
    torch = pytest.importorskip("torch")
    from gpu.wan.engines.eager import EagerEngine
    from gpu.wan.network import random_network

    shape = StreamShape(64, 48, block=1, sink=1, window=2)
    kind = getattr(torch, dtype)
    run = EagerEngine(random_network(TOY, 1, kind), "cpu", kind).open(shape, mask_cache=mask_cache)
    taken = sum(tensor.numel() * tensor.element_size() for tensor in run.tensors.values())
    assert memory.tensor_bytes(TOY, shape, floats, mask_cache) == taken


def test_the_ring_of_the_full_model_is_the_figure_of_the_facts() -> None:
    """0.27 GiB a latent at 832x480 in bf16, that is 3.2 GiB for twelve; cross attention 90 MiB."""
    ring = 2 * LIVEEDIT_1_3B.layers * 12 * 1560 * LIVEEDIT_1_3B.dim * 2
    assert ring / GIB == pytest.approx(3.2, abs=0.05)
    bytes_ = memory.tensor_bytes(LIVEEDIT_1_3B, StreamShape(), "bfloat16")
    assert 0 < bytes_ - ring < 0.15 * GIB


def test_what_fits_is_let_through() -> None:
    memory.check("a stream", [memory.Need("ring", GIB)], free=2 * GIB)


def test_a_refusal_names_the_first_choice_that_fits_and_it_does() -> None:
    shape = StreamShape()
    full = memory.total(memory.stream_needs(LIVEEDIT_1_3B, shape, "bfloat16", True))
    seen = set()
    for free in range(0, full, full // 40):
        with pytest.raises(NoMemory) as refusal:
            memory.check_stream(LIVEEDIT_1_3B, shape, "bfloat16", free, mask_cache=True)
        message = str(refusal.value)
        assert f"{free / GIB:.1f} GiB are free" in message
        words = re.search(r"\): (.*) would fit$", message)
        choices = list(memory.smaller(shape, True))
        sizes = [
            memory.total(memory.stream_needs(LIVEEDIT_1_3B, each.shape, "bfloat16", each.mask_cache))
            for each in choices
        ]
        fitting = [each.words for each, size in zip(choices, sizes, strict=True) if size <= free]
        assert (words.group(1) if words else "") == (fitting[0] if fitting else "")
        if not fitting:
            assert "nano" in message
        seen.add(words.group(1) if words else "")
    assert {"without the mask cache", "at 640x352", "at 448x256", ""} <= seen


def test_smaller_choices_take_less_and_less_and_keep_the_picture_upright() -> None:
    upright = StreamShape(480, 832, block=1, sink=3, window=9)
    sizes = [memory.total(memory.stream_needs(LIVEEDIT_1_3B, upright, "bfloat16", True))]
    for choice in memory.smaller(upright, True):
        sizes.append(
            memory.total(memory.stream_needs(LIVEEDIT_1_3B, choice.shape, "bfloat16", choice.mask_cache))
        )
        assert choice.shape.height > choice.shape.width
    assert len(sizes) >= 4
    assert sizes == sorted(sizes, reverse=True)


def test_what_is_loaded_once_counts_weights_text_encoder_and_context() -> None:
    alone = memory.total(memory.load_needs(LIVEEDIT_1_3B, "bfloat16", on_gpu=True))
    with_text = memory.total(memory.load_needs(LIVEEDIT_1_3B, "bfloat16", on_gpu=True, text_bytes=11 * GIB))
    assert alone / GIB == pytest.approx(1.1 * (2 * 1.42e9 / GIB + 0.59), rel=0.02)
    assert (with_text - alone) / GIB == pytest.approx(12.1, rel=0.01)


def test_this_machines_free_memory_is_known() -> None:
    assert 0 < memory.free_bytes("cpu") < 2**50 or memory.free_bytes("cpu") == 2**62
