"""Another instruction in mid-stream: the ring is what a fresh stream's would be, and the sink stays."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from wan_streams import ONES, THREES, edited, instruction, network, opened, ring, same, source  # noqa: E402

from gpu.wan.config import StreamShape  # noqa: E402
from gpu.wan.engines.eager import EagerEngine  # noqa: E402
from gpu.wan.network import Network  # noqa: E402
from gpu.wan.recache import History  # noqa: E402
from gpu.wan.sampler import Sampling  # noqa: E402
from gpu.wan.stream import EditStream  # noqa: E402
from gpu.wan.transition import Cross  # noqa: E402


@pytest.fixture(scope="module")
def made() -> Network:
    return network()


@pytest.fixture(scope="module")
def engine(made: Network) -> EagerEngine:
    return EagerEngine(made)


def fed(
    engine: EagerEngine,
    shape: StreamShape,
    blocks: list[tuple[Cross, torch.Tensor, torch.Tensor]],
) -> EditStream:
    """A fresh stream whose ring holds these clean latents with their source, each under its instruction."""
    fresh = EditStream(engine, shape)
    for index, (cross, clean, of) in enumerate(blocks):
        fresh._transition.begin(cross, 0)
        fresh._transition.step()
        fresh._sampler.place(index, of)
        fresh._sampler.commit(clean)
    return fresh


@pytest.mark.parametrize("shape", [THREES, ONES, StreamShape(48, 32, 1, 0, 4)])
@pytest.mark.parametrize("blocks", [5, 14, 17])
def test_recached_is_a_fresh_run(made: Network, engine: EagerEngine, shape: StreamShape, blocks: int) -> None:
    old, new = instruction(made, "first"), instruction(made, "second")
    stream = opened(engine, old, shape)
    outputs = edited(stream, range(blocks))
    before = ring(stream)
    stream.condition(new)
    with torch.inference_mode():
        stream._take_instruction()
    sink, capacity = shape.sink // shape.block, shape.window // shape.block
    replayed = range(max(sink, blocks - capacity), blocks)
    expected = fed(
        engine,
        shape,
        [(old, outputs[n], source(n, shape)) for n in range(sink)]
        + [(new, outputs[n], source(n, shape)) for n in replayed],
    )
    found, wanted = ring(stream), ring(expected)
    used = (sink + len(replayed)) * shape.block * shape.latent_tokens
    assert torch.allclose(found[..., :used, :], wanted[..., :used, :], atol=1e-5, rtol=0)
    protected = shape.sink * shape.latent_tokens
    assert torch.equal(found[..., :protected, :], before[..., :protected, :])
    assert not torch.allclose(found[..., protected:used, :], before[..., protected:used, :], atol=1e-2)
    # What it goes on with is what the fresh one goes on with: same masks, positions, slots.
    with torch.inference_mode():
        expected._ring_block, expected._block = len(replayed) + sink, stream.block
        expected._in_force = stream.in_force
    expected.drift = stream.drift = None
    for index in range(50, 54):
        one, other = stream.edit(source(index, shape)), expected.edit(source(index, shape))
        assert torch.allclose(one, other, atol=1e-4, rtol=0)


def test_the_replay_does_not_see_what_came_after(made: Network, engine: EagerEngine) -> None:
    """Slots of newer latents hold their old keys while an older one is replayed: they must be masked."""
    stream = opened(engine, instruction(made, "first"))
    edited(stream, range(6))
    with torch.inference_mode():
        last = stream._history._kept[(stream._history._pushed - 1) % 3]
        twin = opened(engine, instruction(made, "first"))
        edited(twin, range(6))
        last[0].add_(1.0)  # another newest latent
    stream.recache()
    twin.recache()
    found, wanted = ring(stream), ring(twin)
    newest = 3 * 3 * THREES.latent_tokens  # after sink and two blocks
    assert torch.allclose(found[..., :newest, :], wanted[..., :newest, :], atol=1e-6)
    assert not torch.allclose(found[..., newest:, :], wanted[..., newest:, :], atol=1e-2)


@pytest.mark.parametrize("shape", [THREES, ONES])
def test_the_sink_keeps_its_keys_for_good(made: Network, engine: EagerEngine, shape: StreamShape) -> None:
    stream = opened(engine, instruction(made, "first"), shape)
    edited(stream, range(9))
    protected = ring(stream)[..., : shape.sink * shape.latent_tokens, :]
    for turn, name in enumerate(("second", "third", "first")):
        stream.condition(instruction(made, name), transition_blocks=2 * (turn % 2))
        edited(stream, range(10 * turn, 10 * turn + 7))
        assert torch.equal(ring(stream)[..., : shape.sink * shape.latent_tokens, :], protected)


def test_a_renewed_sink_is_of_the_new_instruction_alone(made: Network, engine: EagerEngine) -> None:
    old, new = instruction(made, "first"), instruction(made, "second")
    stream = opened(engine, old, sampling=Sampling(renew_sink=True))
    outputs = edited(stream, range(8))
    stream.condition(new)
    with torch.inference_mode():
        stream._take_instruction()
    expected = fed(engine, THREES, [(new, outputs[n], source(n)) for n in (5, 6, 7)])
    used = 9 * THREES.latent_tokens
    assert stream.ring_blocks == 3
    assert torch.allclose(ring(stream)[..., :used, :], ring(expected)[..., :used, :], atol=1e-5, rtol=0)
    assert all(block.isfinite().all() for block in edited(stream, range(8, 14)))


@pytest.mark.parametrize("replayed", [0, 1, 4])
def test_a_shorter_replay_forgets_the_rest(made: Network, engine: EagerEngine, replayed: int) -> None:
    """As a fresh stream that was fed the sink and these latents only."""
    old, new = instruction(made, "first"), instruction(made, "second")
    stream = opened(engine, old, ONES, Sampling(replayed=replayed))
    outputs = edited(stream, range(16))
    stream.condition(new)
    found = edited(stream, range(16, 20))
    kept = [(old, n) for n in range(3)] + [(new, n) for n in range(16 - replayed, 16)]
    fresh = fed(engine, ONES, [(cross, outputs[n], source(n, ONES)) for cross, n in kept])
    fresh.condition(new)
    fresh._ring_block, fresh._block, fresh.drift = 3 + replayed, 16, None
    fresh._history._pushed = 0  # not again
    fresh.recache = lambda: None  # type: ignore[method-assign]
    expected = edited(fresh, range(16, 20))
    assert all(torch.allclose(a, b, atol=1e-4, rtol=0) for a, b in zip(found, expected, strict=True))


def test_nothing_is_replayed_while_all_lies_in_the_sink(made: Network, engine: EagerEngine) -> None:
    stream = opened(engine, instruction(made, "first"))
    edited(stream, [0])
    before = ring(stream)
    stream.recache()
    assert torch.equal(ring(stream), before)
    assert stream.ring_blocks == 1


def test_a_switch_costs_a_pass_a_block_in_the_window(made: Network, engine: EagerEngine) -> None:
    stream = opened(engine, instruction(made, "first"))
    edited(stream, range(9))
    passes = []
    run = stream._pass.run
    stream._pass.run = lambda pruned=False: (passes.append(pruned), run(pruned))  # type: ignore[method-assign]
    stream.condition(instruction(made, "second"))
    edited(stream, [9])
    assert len(passes) == 3 + stream.sampling.passes


def test_what_was_asked_comes_into_force_with_a_block(made: Network, engine: EagerEngine) -> None:
    stream = EditStream(engine, THREES)
    assert stream.in_force is None
    assert stream.condition(instruction(made, "first")) == 1
    assert stream.in_force is None, "asked for is not in force"
    edited(stream, range(2))
    force = stream.in_force
    assert force is not None
    assert (force.number, force.since, force.share, force.alone_since) == (1, 0, 1.0, 0)
    assert stream.condition(instruction(made, "second")) == 2
    assert stream.condition(instruction(made, "third"), transition_blocks=3) == 3
    shares = []
    for index in range(2, 7):
        edited(stream, [index])
        force = stream.in_force
        assert force is not None
        assert (force.number, force.since) == (3, 2), "the newest wins; 2 never came into force"
        shares.append(force.share)
    assert shares == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])
    assert force.alone_since == 4


def test_history_keeps_the_last_blocks_and_no_more() -> None:
    history = History(torch.zeros(1, 4, 3, 2, 2, dtype=torch.float16), THREES)
    size = history.bytes
    assert len(history) == 0
    assert list(history.last(3)) == []
    for value in range(8):
        history.push(torch.full((1, 4, 3, 2, 2), float(value)), torch.full((1, 4, 3, 2, 2), -float(value)))
        assert len(history) == min(value + 1, 3)
        assert [float(clean.mean()) for clean, _ in history.last(2)] == list(
            range(max(0, value - 1), value + 1)
        )
    assert [float(of.mean()) for _, of in history.last(99)] == [-5, -6, -7]
    assert history.bytes == size == 3 * 2 * 48 * 2


def test_a_stream_that_switched_is_deterministic(made: Network, engine: EagerEngine) -> None:
    runs = []
    for _ in range(2):
        stream = opened(engine, instruction(made, "first"), sampling=Sampling(mask_cache=True))
        blocks = edited(stream, range(4))
        stream.condition(instruction(made, "second"), transition_blocks=3)
        blocks += edited(stream, range(4, 9))
        stream.condition(instruction(made, "third"))
        runs.append(blocks + edited(stream, range(9, 12)))
    assert same(*runs)
