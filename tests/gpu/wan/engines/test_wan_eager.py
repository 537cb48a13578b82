"""PyTorch as an engine: its tensors, its types, and what it refuses. What it computes: test_wan_parity."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gpu.errors import DeviceError, ModelError  # noqa: E402
from gpu.wan.bindings import bindings  # noqa: E402
from gpu.wan.config import TOY, StreamShape  # noqa: E402
from gpu.wan.engines.base import PassEngine  # noqa: E402
from gpu.wan.engines.eager import EagerEngine  # noqa: E402
from gpu.wan.network import random_network  # noqa: E402
from gpu.wan.ring import Ring  # noqa: E402
from gpu.wan.rope import fill  # noqa: E402

SHAPE = StreamShape(48, 32, 1, 1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pass_has_the_tensors_of_the_bindings(dtype: torch.dtype) -> None:
    engine: PassEngine = EagerEngine(random_network(TOY), dtype=dtype)
    assert (engine.config, engine.device, engine.dtype) == (TOY, "cpu", dtype)
    assert engine.name == f"PyTorch {torch.__version__}, {str(dtype)[6:]}, cpu"
    kinds = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool, "model": dtype}
    for mask_cache in (False, True):
        run = engine.open(SHAPE, 2, mask_cache)
        assert (run.shape, run.batch) == (SHAPE, 2)
        wanted = bindings(TOY, SHAPE, 2, mask_cache, pruned=mask_cache)
        found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in run.tensors.items()}
        assert found == {one.name: (one.shape, kinds[one.kind]) for one in wanted}
        assert not any(tensor.any() for tensor in run.tensors.values())


def test_timestep_and_modulation_stay_in_float32() -> None:
    engine = EagerEngine(random_network(TOY, dtype=torch.bfloat16), dtype=torch.bfloat16)
    assert engine._network is not None
    exact = {name for name, one in engine._network.named_parameters() if one.dtype == torch.float32}
    assert exact == {
        *(f"time_embedding.{n}.{kind}" for n in (0, 2) for kind in ("weight", "bias")),
        "time_projection.1.weight",
        "time_projection.1.bias",
        *(f"blocks.{n}.modulation" for n in range(TOY.layers)),
        "head.modulation",
    }


def test_weights_by_chance_keep_the_size_of_what_passes_through() -> None:
    engine = EagerEngine(random_network(TOY, seed=3))
    run = engine.open(SHAPE)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in run.tensors.items():
        if name.startswith(("cross", "noisy", "source")):
            tensor.normal_(generator=generator)
    run.tensors["timestep"].fill_(1000)
    for block in range(4):
        fill(run.tensors, Ring(SHAPE), block)
        run.run()
        assert 0.3 < float(run.tensors["flow"].std()) < 3
    again, other = random_network(TOY, seed=3), random_network(TOY, seed=4)
    assert engine._network is not None
    weights = engine._network.state_dict()
    assert all(torch.equal(weights[name], one) for name, one in again.state_dict().items())
    assert not torch.equal(weights["patch_embedding.weight"], other.patch_embedding.weight)


def test_what_cannot_be_run_is_refused() -> None:
    engine = EagerEngine(random_network(TOY))
    run = engine.open(SHAPE)
    with pytest.raises(ModelError, match="mask_cache"):
        run.run(pruned=True)
    engine.close()
    engine.close()
    run.run()  # an open pass outlives its engine
    with pytest.raises(ModelError, match="load the model again"):
        engine.open(SHAPE)
    run.close()
    run.close()
    assert not run.tensors
    with pytest.raises(ModelError, match="open another"):
        run.run()


def test_no_memory_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As CUDA says it; the message names what did not fit."""
    engine = EagerEngine(random_network(TOY))
    run = engine.open(SHAPE)

    def full(*_: object, **__: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(engine._network, "forward", full)
    with pytest.raises(DeviceError, match="no memory left for a pass"):
        run.run()
    monkeypatch.setattr(torch, "zeros", full)
    with pytest.raises(DeviceError, match="no memory left on cpu"):
        engine.open(SHAPE)


@pytest.mark.gpu
def test_on_a_gpu_it_is_as_on_the_cpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    flows = []
    for device in ("cpu", "cuda:0"):
        run = EagerEngine(random_network(TOY), device).open(SHAPE)
        generator = torch.Generator().manual_seed(0)
        for name, tensor in run.tensors.items():
            if name.startswith(("cross", "noisy", "source")):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
        for block in range(4):
            fill(run.tensors, Ring(SHAPE), block)
            run.run()
        flows.append(run.tensors["flow"].cpu())
    assert torch.allclose(*flows, rtol=1e-3, atol=1e-3)
