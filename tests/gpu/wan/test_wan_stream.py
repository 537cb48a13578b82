"""A stream of blocks: deterministic, causal, bounded, undisturbed by others."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from wan_chance import normal, weighed  # noqa: E402
from wan_passes import SMALL  # noqa: E402
from wan_streams import ONES, THREES, edited, instruction, network, opened, ring, same, source  # noqa: E402

from gpu.errors import DeviceError, ModelError  # noqa: E402
from gpu.wan.config import StreamShape  # noqa: E402
from gpu.wan.engines.eager import EagerEngine, EagerPass  # noqa: E402
from gpu.wan.network import Network  # noqa: E402
from gpu.wan.sampler import Sampling  # noqa: E402
from gpu.wan.stream import EditStream  # noqa: E402


@pytest.fixture(scope="module")
def made() -> Network:
    return network()


@pytest.fixture(scope="module")
def engine(made: Network) -> EagerEngine:
    return EagerEngine(made)


@pytest.mark.parametrize(
    ("shape", "sampling"),
    [
        (THREES, Sampling()),
        (ONES, Sampling(steps=2)),
        (THREES, Sampling(mask_cache=True, noise="fresh")),
        (ONES, Sampling(mask_cache=True)),
    ],
)
def test_streaming_is_offline(
    made: Network, engine: EagerEngine, shape: StreamShape, sampling: Sampling
) -> None:
    """All blocks in one go, and one by one with another stream's in between: the same bytes."""
    cross = instruction(made, "first")
    offline = edited(opened(engine, cross, shape, sampling), range(7))
    live, other = opened(engine, cross, shape, sampling), opened(engine, instruction(made, "x"), shape)
    streamed = []
    for index in range(7):
        other.edit(source(100 + index, shape))
        streamed.append(live.edit(source(index, shape)))
    assert same(offline, streamed)
    assert all(block.shape == source(0, shape).shape and block.dtype == torch.float32 for block in offline)


def test_two_streams_at_once_are_as_alone(made: Network, engine: EagerEngine) -> None:
    crosses = [instruction(made, name) for name in ("first", "second")]
    alone = [edited(opened(engine, cross), range(5)) for cross in crosses]
    streams = [opened(engine, cross) for cross in crosses]
    together = [[stream.edit(source(index)) for stream in streams] for index in range(5)]
    assert all(same(blocks, alone[n]) for n, blocks in enumerate(zip(*together, strict=True)))
    assert not same(*alone)


def test_the_future_does_not_change_the_past(made: Network, engine: EagerEngine) -> None:
    cross = instruction(made, "first")
    one, other = (opened(engine, cross) for _ in range(2))
    assert same(edited(one, range(4)), edited(other, range(4)))
    assert not same(edited(one, [4]), edited(other, [40]))
    assert not same(edited(one, [5]), edited(other, [5])), "what follows saw other pasts"


def test_the_seed_and_the_block_make_the_noise(made: Network, engine: EagerEngine) -> None:
    cross = instruction(made, "first")
    first, again, other = (
        edited(opened(engine, cross, sampling=Sampling(seed=seed)), [0, 0]) for seed in (3, 3, 4)
    )
    assert same(first, again)
    assert not same(first, other)
    fresh = edited(opened(engine, cross, sampling=Sampling(seed=3, noise="fresh")), [0])
    assert not same(fresh, first[:1])


def test_two_steps_differ_from_four_and_run_fewer_passes(made: Network, engine: EagerEngine) -> None:
    cross = instruction(made, "first")
    counts, blocks = [], []
    for steps in (2, 4):
        stream = opened(engine, cross, sampling=Sampling(steps=steps))
        passes = _counted(stream)
        blocks += edited(stream, [0])
        counts.append(list(passes))
        assert stream.sampling.passes == len(passes)
    assert counts == [[False] * 3, [False] * 5]
    assert not torch.allclose(*blocks)


def test_a_long_stream_keeps_its_memory_and_positions(made: Network, engine: EagerEngine) -> None:
    """320 blocks of one latent: every tensor stays where it is, no angle grows."""
    shape = StreamShape(32, 16, 1, 3, 9)
    stream = opened(engine, instruction(made, "first"), shape, Sampling(steps=2, mask_cache=False))
    edited(stream, range(20))
    tensors = {name: tensor.data_ptr() for name, tensor in stream._tensors.items()}
    kept = stream._history.bytes
    where, positions = set(), []
    for index in range(20, 320):
        block = stream.edit(source(index, shape))
        where.add(int(stream._tensors["write_index"]))
        positions.append(stream._tensors["query_cos"].clone())
    assert all(torch.equal(cos, positions[0]) for cos in positions), "the newest latent has its place"
    assert block.isfinite().all()
    assert stream.block == 320
    assert {name: tensor.data_ptr() for name, tensor in stream._tensors.items()} == tensors
    assert stream._history.bytes == kept == 9 * 2 * block.numel() * 4
    assert where == {(3 + slot) * shape.latent_tokens for slot in range(9)}


def test_what_is_no_number_does_not_stay(made: Network, engine: EagerEngine) -> None:
    stream = opened(engine, instruction(made, "first"))
    broken = source(0).clone()
    broken[0, 0, 0, 0, 0], broken[0, 1, 0, 0, 0] = float("nan"), float("inf")
    zeroed = broken.nan_to_num(0.0, 0.0, 0.0)
    twin = opened(engine, instruction(made, "first"))
    assert same([stream.edit(broken)], [twin.edit(zeroed)])
    # A network that gives no number: the source shows there, and the ring stays clean.
    run = stream._pass.run

    def fails(pruned: bool = False) -> None:
        run(pruned)
        stream._tensors["flow"][0, 0, 0, 0, 0] = float("nan")

    stream._pass.run = fails
    block = stream.edit(source(1))
    assert block[0, 0, 0, 0, 0] == source(1)[0, 0, 0, 0, 0]
    assert block.isfinite().all()
    assert ring(stream).isfinite().all()


def test_what_cannot_be_used_is_refused_and_changes_nothing(made: Network, engine: EagerEngine) -> None:
    stream = EditStream(engine, THREES)
    with pytest.raises(ModelError, match="call condition"):
        stream.edit(source(0))
    stream.condition(instruction(made, "first"))
    with pytest.raises(ModelError, match=r"\(1, 4, 3, 4, 6\), not \(1, 4, 1, 4, 6\)"):
        stream.edit(source(0, ONES))
    with pytest.raises(ModelError, match="1 layers"):
        stream.condition(instruction(made, "first")[:1])
    with pytest.raises(ModelError, match="condition\\(\\) from one text"):
        stream.condition([(keys[..., :2], values) for keys, values in instruction(made, "first")])
    with pytest.raises(ModelError, match="0 or more"):
        stream.condition(instruction(made, "first"), -1)
    assert same(edited(stream, range(2)), edited(opened(engine, instruction(made, "first")), range(2)))
    stream.close()
    stream.close()
    for call in (lambda: stream.edit(source(2)), stream.recache, lambda: stream.condition([])):
        with pytest.raises(ModelError, match="closed"):
            call()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 3}, "4 or 2"),
        ({"noise": "old"}, "kept or fresh"),
        ({"replayed": -1}, "0 or more"),
        ({"steps": 2, "mask_cache": True}, "take 4"),
    ],
)
def test_sampling_that_cannot_be(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_a_network_without_a_source_runs_too() -> None:
    plain = weighed(replace(SMALL, source_channels=0), 5)
    stream = opened(EagerEngine(plain), instruction(plain, "first"))
    assert stream.edit(source(0)).isfinite().all()


def test_half_precision_streams(made: Network) -> None:
    engine = EagerEngine(network(), dtype=torch.bfloat16)
    cross = engine._network.condition(normal(5, "first", 1, SMALL.text_len, SMALL.text_dim))  # type: ignore[union-attr]
    exact = edited(opened(EagerEngine(made), instruction(made, "first")), range(4))
    half = edited(opened(engine, cross), range(4))
    assert half[3].dtype == torch.float32
    assert all(float((a - b).square().mean().sqrt()) < 0.1 for a, b in zip(exact, half, strict=True))


def test_closed_it_holds_no_memory(made: Network, engine: EagerEngine) -> None:
    stream = opened(engine, instruction(made, "first"))
    edited(stream, range(2))
    stream.condition(instruction(made, "second"), transition_blocks=5)
    edited(stream, [2])
    held = [weakref.ref(stream._tensors["ring_k.0"]), weakref.ref(stream._history._kept)]
    stream.close()
    assert [tensor() for tensor in held] == [None, None]
    assert stream.block == 3


def test_a_device_that_fails_says_so(
    made: Network, engine: EagerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    stream = opened(engine, instruction(made, "first"))
    monkeypatch.setattr(stream._history, "push", full)
    with pytest.raises(DeviceError, match="no memory left"):
        stream.edit(source(0))
    closed: list[EagerPass] = []
    monkeypatch.setattr("gpu.wan.stream.History", full)
    monkeypatch.setattr(EagerPass, "close", lambda run: closed.append(run))
    with pytest.raises(DeviceError, match="no memory left"):
        EditStream(engine, THREES)
    assert len(closed) == 1, "what was opened is let go"


@pytest.mark.parametrize("seed", [None, 3])
def test_begun_anew_it_is_as_one_just_opened(made: Network, engine: EagerEngine, seed: int | None) -> None:
    first, second = instruction(made, "first"), instruction(made, "second")
    stream = opened(engine, first, sampling=Sampling(mask_cache=True))
    edited(stream, range(7))
    tensors = {name: tensor.data_ptr() for name, tensor in stream._tensors.items()}
    stream._tensors["ring_k.0"][0, 0, 0, 0] = float("nan")
    stream.restart(seed)
    assert (stream.block, stream.ring_blocks, stream.in_force) == (0, 0, None)
    with pytest.raises(ModelError, match="call condition"):
        stream.edit(source(0))
    assert stream.condition(second) == 2
    fresh = opened(engine, second, sampling=Sampling(mask_cache=True, seed=seed or 0))
    assert same(edited(stream, range(5)), edited(fresh, range(5)))
    assert {name: tensor.data_ptr() for name, tensor in stream._tensors.items()} == tensors


class _NoWaiting(TorchDispatchMode):
    """Refuses operations whose result the host must know: on CUDA they wait for all that is queued."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique"), name
        if name in ("index", "index_put", "index_put_"):
            assert all(i is None or i.dtype != torch.bool for i in args[1]), "a mask's size must be counted"
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device(made: Network, engine: EagerEngine) -> None:
    stream = opened(engine, instruction(made, "first"), sampling=Sampling(mask_cache=True))
    sources = [source(index) for index in range(8)]
    with _NoWaiting():
        for index, block in enumerate(sources):
            if index == 4:
                stream.condition(instruction(made, "second"), transition_blocks=2)
            stream.edit(block)
    with pytest.raises(AssertionError, match="_local_scalar_dense"), _NoWaiting():
        torch.ones(1).item()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_waits_on_cuda_and_the_numbers_are_the_same(made: Network) -> None:
    on_gpu = EagerEngine(network(), "cuda:0")
    crosses = [
        [(keys.cuda(), values.cuda()) for keys, values in instruction(made, name)] for name in ("first", "x")
    ]
    stream = opened(on_gpu, crosses[0], sampling=Sampling(mask_cache=True))
    blocks = edited(stream, [0])  # libraries load with the first
    torch.cuda.set_sync_debug_mode("error")
    try:
        blocks += edited(stream, [1, 2])
        stream.condition(crosses[1], transition_blocks=2)
        blocks += edited(stream, [3, 4, 5])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    host = opened(EagerEngine(made), instruction(made, "first"), sampling=Sampling(mask_cache=True))
    expected = edited(host, range(3))
    assert all(torch.allclose(a.cpu(), b, atol=1e-2) for a, b in zip(blocks, expected, strict=False))


def _counted(stream: EditStream) -> list[bool]:
    """From here on, `pruned` of each of the stream's passes."""
    passes: list[bool] = []
    run = stream._pass.run

    def counted(pruned: bool = False) -> None:
        passes.append(pruned)
        run(pruned)

    stream._pass.run = counted  # type: ignore[method-assign]
    return passes
