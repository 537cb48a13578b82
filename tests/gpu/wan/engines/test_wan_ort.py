"""ONNX Runtime against eager, over blocks, steps and a rolling ring; that the ring is written in place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from gpu.errors import DeviceError, ModelError  # noqa: E402
from gpu.wan.bindings import bindings  # noqa: E402
from gpu.wan.config import StreamShape, WanConfig  # noqa: E402
from gpu.wan.engines import ort as ort_module  # noqa: E402
from gpu.wan.engines.base import Pass, PassEngine  # noqa: E402
from gpu.wan.engines.eager import EagerEngine  # noqa: E402
from gpu.wan.engines.ort import OrtPassEngine  # noqa: E402
from gpu.wan.network import Network, random_network  # noqa: E402
from gpu.wan.ring import Ring  # noqa: E402
from gpu.wan.rope import fill  # noqa: E402

SMALL = WanConfig("small", dim=64, layers=2, heads=2, ffn=96, freq_dim=32, text_dim=32, text_len=8)
SHAPE = StreamShape(64, 48, block=2, sink=2, window=4)
BLOCKS = 6  # the window goes round twice


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(SMALL, seed=1)


@pytest.fixture(scope="module")
def engine(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrtPassEngine]:
    engine = OrtPassEngine(network, folder=tmp_path_factory.mktemp("graphs"), threads=1)
    yield engine
    engine.close()


def _by_chance(run: Pass, names: tuple[str, ...], generator: Any) -> None:
    for name, tensor in run.tensors.items():
        if name.startswith(names):
            tensor.normal_(generator=generator)


def _drive(run: Pass, offset: int = 0) -> Iterator[dict[str, Any]]:
    """Blocks of three passes -> after each, what was written. A second stream of the batch began `offset`
    blocks earlier. With a mask cache the middle pass is pruned."""
    generator = torch.Generator().manual_seed(2)
    _by_chance(run, ("cross",), generator)
    for block in range(BLOCKS):
        for entry in range(run.batch):
            fill(run.tensors, Ring(SHAPE), block + offset * entry, entry)
        _by_chance(run, ("source",), generator)
        for timestep, pruned in ((1000.0, False), (833.3, True), (0.0, False)):
            _by_chance(run, ("noisy",), generator)
            run.tensors["timestep"].fill_(timestep)
            if "kept" in run.tensors:
                for one in run.tensors["kept"]:
                    chosen = torch.randperm(SHAPE.block_tokens, generator=generator)[: len(one)]
                    one.copy_(chosen.sort().values)
            run.run(pruned and "kept" in run.tensors)
            yield {
                name: tensor.clone()
                for name, tensor in run.tensors.items()
                if name.startswith(("flow", "ring", "delta"))
            }


@pytest.mark.parametrize("mask_cache", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_equals_eager(network: Network, engine: OrtPassEngine, batch: int, mask_cache: bool) -> None:
    ours = engine.open(SHAPE, batch, mask_cache)
    theirs = EagerEngine(network).open(SHAPE, batch, mask_cache)
    for made, expected in zip(_drive(ours, 1), _drive(theirs, 1), strict=True):
        assert made.keys() == expected.keys()
        for name in made:
            torch.testing.assert_close(made[name], expected[name], rtol=1e-4, atol=1e-4, msg=name)
    ours.close()


def test_streams_share_a_session_but_no_memory(engine: OrtPassEngine) -> None:
    first, second = engine.open(SHAPE), engine.open(SHAPE)
    assert first._bound[0][0] is second._bound[0][0]
    assert not {one.data_ptr() for one in first.tensors.values()} & {
        one.data_ptr() for one in second.tensors.values()
    }
    *_, alone = _drive(first)
    assert not second.tensors["ring_k.0"].any()
    *_, (made, _) = zip(_drive(second), _drive(first), strict=True)  # in turns
    assert all(torch.equal(made[name], alone[name]) for name in alone)


def test_results_lie_in_the_streams_own_tensors(engine: OrtPassEngine) -> None:
    run = engine.open(SHAPE, 1, mask_cache=True)
    before = {name: tensor.data_ptr() for name, tensor in run.tensors.items()}
    for session, binding in run._bound:
        session.run(binding)
        names = [port.name.removesuffix(".out") for port in session._session.get_outputs()]
        lie = dict(zip(names, (value.data_ptr() for value in binding.get_outputs()), strict=True))
        assert lie == {name: before[name] for name in names}
        wanted = {one.name for one in bindings(SMALL, SHAPE, 1, True, True) if one.role != "input"}
        assert set(names) == wanted


# The pages of the ring that a block does not write are made read-only: a copy of the ring over itself, or to
# another place and back, ends the process. That it does is seen in a child for which every page is read-only.
IN_PLACE = """
import ctypes, mmap, os, signal, sys
from pathlib import Path
import torch
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.engines.ort import OrtPass, OrtPassEngine
from gpu.wan.network import random_network
from gpu.wan.ring import Ring
from gpu.wan.rope import fill
config = WanConfig("pages", dim=64, layers=1, heads=2, ffn=32, freq_dim=16, text_dim=16, text_len=4)
shape = StreamShape(128, 64, block=1, sink=1, window=3)  # a latent of a head: 32 tokens of 128 bytes, a page
assert shape.latent_tokens * config.head_dim * 4 == mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
def protect(address, how):
    if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), how):
        raise OSError(ctypes.get_errno(), "mprotect")
if child := os.fork():  # before there are threads
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
else:
    signal.alarm(60)
engine = OrtPassEngine(random_network(config), folder=Path(sys.argv[1]), threads=1)
run = engine.open(shape)
sessions, tensors = tuple(one for one, _ in run._bound), dict(run.tensors)
memory = []
for name in ("ring_k.0", "ring_v.0"):
    pages = mmap.mmap(-1, tensors[name].nbytes)
    memory.append(pages)
    tensors[name] = torch.frombuffer(pages, dtype=torch.float32).view(tensors[name].shape)
run = OrtPass(shape, 1, tensors, sessions)
for block in range(7):
    tensors["noisy"].normal_()
    place = fill(tensors, Ring(shape), block)
    protected = []
    for name in ("ring_k.0", "ring_v.0"):
        for head in range(config.heads):
            for slot in range(shape.ring):
                address = tensors[name][0, head, slot * shape.latent_tokens].data_ptr()
                assert address % mmap.PAGESIZE == 0
                if slot not in place.slots or not child:
                    protect(address, mmap.PROT_READ)
                    protected.append(address)
    before = tensors["ring_k.0"].clone()
    run.run()
    assert not torch.equal(before, tensors["ring_k.0"])
    for address in protected:
        protect(address, mmap.PROT_READ | mmap.PROT_WRITE)
print("in place", ended)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mprotect as Linux has it")
def test_only_the_block_is_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_PLACE, str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    # And the trap works: the block's own page, written, ends the process.
    assert (done.returncode, done.stdout) == (0, "in place -11\n"), done.stderr


def test_is_an_engine(engine: OrtPassEngine) -> None:
    same: PassEngine = engine
    assert (same.config, same.device, same.dtype) == (SMALL, "cpu", torch.float32)
    assert same.name.startswith("ONNX Runtime 1.")
    run = same.open(SHAPE, 2)
    assert (run.shape, run.batch) == (SHAPE, 2)
    wanted = {one.name: one.shape for one in bindings(SMALL, SHAPE, 2)}
    assert {name: tuple(tensor.shape) for name, tensor in run.tensors.items()} == wanted
    assert not any(tensor.any() for tensor in run.tensors.values())
    with pytest.raises(ModelError, match="mask_cache"):
        run.run(pruned=True)


def test_closing(network: Network) -> None:
    engine = OrtPassEngine(network, threads=1)
    folder = engine._folder
    assert folder is not None
    run = engine.open(SHAPE)
    engine.close()
    engine.close()
    assert not folder.exists()
    run.run()  # an open pass outlives its engine
    run.close()
    run.close()
    assert not run.tensors
    with pytest.raises(ModelError, match="open another"):
        run.run()
    with pytest.raises(ModelError, match="load the model again"):
        engine.open(SHAPE)


def test_what_it_cannot_do(network: Network, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="bfloat16"):
        OrtPassEngine(network, dtype=torch.bfloat16)
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        OrtPassEngine(network, "cuda:0")
    (tmp_path / "no.onnx").write_bytes(b"no graph")
    with pytest.raises(DeviceError, match="use the eager engine"):
        ort_module._Session(tmp_path / "no.onnx", "cpu", 1)


def test_a_pass_that_fails(engine: OrtPassEngine) -> None:
    run = engine.open(SHAPE, 1, mask_cache=True)
    run.tensors["kept"].fill_(10**6)
    with pytest.raises(DeviceError, match="failed in a pass"):
        run.run(pruned=True)
