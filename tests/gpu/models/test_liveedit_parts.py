"""The parts of a model: made by chance, or read from the store's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import numpy as np  # noqa: E402
from liveedit_fakes import TINY, tiny_model  # noqa: E402
from moving import picture  # noqa: E402

from gpu.autoencoder.tiny import TinyAutoencoder  # noqa: E402
from gpu.checkpoints.store import Missing, Weights  # noqa: E402
from gpu.errors import DeviceError, ModelError  # noqa: E402
from gpu.models import liveedit_parts as module  # noqa: E402
from gpu.models.liveedit import LiveEditModel  # noqa: E402
from gpu.models.liveedit_engine import engine_of  # noqa: E402
from gpu.models.liveedit_parts import RandomText, random_parts, trained_parts  # noqa: E402
from gpu.models.liveedit_spec import spec_of  # noqa: E402
from gpu.models.settings import ModelSettings  # noqa: E402
from gpu.offline import edit_frames  # noqa: E402
from gpu.types import Edit  # noqa: E402
from gpu.wan.config import TOY  # noqa: E402
from gpu.wan.engines.fp8 import Fp8Linear  # noqa: E402
from gpu.wan.engines.trt_library import load  # noqa: E402
from gpu.wan.network import random_network  # noqa: E402


def test_random_text_is_decided_by_the_prompt_alone() -> None:
    text = RandomText(TINY)
    once = text.encode("a red hat")
    assert once.shape == (1, TINY.text_len, TINY.text_dim)
    assert torch.equal(once, RandomText(TINY).encode("a  Red hat"))
    assert not torch.equal(once, text.encode("a blue hat"))
    assert once[0, 3:].abs().max() == 0
    assert text.encode("word " * 100).isfinite().all()


def test_random_parts_are_the_same_each_time() -> None:
    one, other = random_parts("liveedit-toy"), random_parts("liveedit-toy")
    text = one.text.encode("a red hat")
    for (k, v), (other_k, other_v) in zip(one.condition(text), other.condition(text), strict=True):
        assert torch.equal(k, other_k)
        assert torch.equal(v, other_v)
    assert one.random
    assert one.words.startswith("CPU, PyTorch")
    one.close()
    other.close()


def fresh_network() -> Any:
    return random_network(TINY, 5, torch.float32)


class Text:
    """Notes what it was given, and encodes as chance has it."""

    def __init__(self, files: Any, config: Any, settings: Any) -> None:
        self.files, self.settings, self.loaded = files, settings, False
        self.encode = RandomText(config).encode

    def load(self) -> None:
        self.loaded = True


def test_parts_are_read_from_the_stores_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(TINY, 9, torch.float32)
    torch.save(
        {"generator_ema": {f"model.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "n.pt"
    )
    tiny = TinyAutoencoder.random(4)
    torch.save(tiny.network.state_dict(), tmp_path / "tiny.pth")
    (tmp_path / "t5.pth").write_bytes(b"x")
    parts = {
        "network": tmp_path / "n.pt", "tiny_autoencoder": tmp_path / "tiny.pth",
        "text_encoder": tmp_path / "t5.pth", "tokenizer": tmp_path,
    }  # fmt: skip
    monkeypatch.setattr(module, "CONFIGS", {"liveedit-1.3b": TINY})
    monkeypatch.setattr(module, "UMT5", Text)
    monkeypatch.setattr(module.store, "find", lambda name, folder: Weights(name, parts))  # type: ignore[arg-type]
    made = trained_parts("liveedit-1.3b", ModelSettings(models_dir=str(tmp_path)))
    assert isinstance(made.text, Text)
    assert made.text.loaded
    assert made.text.settings.keep == "cpu"
    assert made.text.files.weights == tmp_path / "t5.pth"
    assert not made.random
    text = made.text.encode("a red hat")
    assert torch.equal(made.condition(text)[0][0], network.condition(text)[0][0])
    pictures = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(made.autoencoder.open(16, 16).encode(pictures), tiny.open(16, 16).encode(pictures))
    made.close()


def test_missing_weights_say_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.store, "find", lambda name, folder: Missing("run this and that"))
    with pytest.raises(ModelError, match="run this and that"):
        trained_parts("liveedit-1.3b", ModelSettings())


@pytest.mark.parametrize("kind", ["auto", "graphs", "onnxruntime"])
def test_every_engine_that_runs_here_edits_alike(kind: Any) -> None:
    frames = [picture(i, 112, 64) for i in range(8)]
    edits = ((0, Edit(1, "a red hat", transition_ms=0)), (4, Edit(2, "a blue one", transition_ms=0)))
    made = []
    for engine in ("eager", kind):
        with tiny_model(
            engine=engine_of("liveedit-toy", fresh_network(), ModelSettings(engine=engine), "cpu")
        ) as model:
            made.append(list(edit_frames(model, frames, edits)))
    for one, other in zip(*made, strict=True):
        assert np.abs(one.y.astype(int) - other.y).max() <= 1


def test_an_engine_without_its_hardware_names_the_remedy() -> None:
    with pytest.raises(DeviceError, match="set it to auto"):
        engine_of("liveedit-toy", fresh_network(), ModelSettings(engine="tensorrt"), "cpu")


def test_8_bit_floats_are_not_for_onnx_runtime() -> None:
    for fp8 in (False, True):
        network = random_network(TOY, 1)
        engine = engine_of("liveedit-toy", network, ModelSettings(fp8=fp8), "cpu")
        assert any(isinstance(module, Fp8Linear) for module in network.modules()) == fp8
        engine.close()
    with pytest.raises(DeviceError, match="not for pass_engine onnxruntime: set that to auto or graphs"):
        engine_of("liveedit-toy", fresh_network(), ModelSettings(engine="onnxruntime", fp8=True), "cpu")


@pytest.mark.parametrize("fp8", [False, True])
def test_tensorrt_quantises_its_graphs_and_not_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fp8: bool
) -> None:
    prepared = []

    class Engine:
        def prepare(self, shape: Any, **given: Any) -> None:
            prepared.append((shape.width, shape.height, given["mask_cache"]))

    def of_network(network: Any, store: Any, graphs: Any, device: str, dtype: Any, fp8: bool) -> Engine:
        assert not any(isinstance(module, Fp8Linear) for module in network.modules())
        asked.append((graphs, device, dtype, fp8))
        return Engine()

    asked: list[Any] = []
    monkeypatch.setattr("gpu.wan.engines.tensorrt.TensorRtEngine.of_network", of_network)
    network = random_network(TOY, 1)
    monkeypatch.setattr(network, "to", lambda device: network)  # there is no GPU here
    monkeypatch.setattr("gpu.models.liveedit_engine.check_engine", lambda *of: None)
    settings = ModelSettings(engine="tensorrt", fp8=fp8, models_dir=str(tmp_path), mask_cache=True)
    engine_of("liveedit-toy", network, settings, "cuda:0")
    assert asked == [(tmp_path / "graphs", "cuda:0", torch.bfloat16, fp8)]
    assert prepared == [(112, 64, True), (64, 112, True)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ModelSettings(True, fp8=True, engine="tensorrt"), "the A10 has no FP8, .*: set fp8 to false"),
        (ModelSettings(True, fp8=True), "the A10 has no FP8, .*: set fp8 to false"),
        (ModelSettings(True, engine="tensorrt"), "TensorRT is not installed: pip install"),
    ],
)
def test_what_a_gpu_cannot_do_is_said_before_weights_are_made(
    monkeypatch: pytest.MonkeyPatch, settings: ModelSettings, said: str
) -> None:
    def never(*of: object) -> None:
        raise AssertionError("weights were made all the same")

    monkeypatch.setattr("gpu.models.liveedit.random_parts", never)
    monkeypatch.setattr("gpu.models.liveedit.best_device", lambda: "cuda:0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A10")
    monkeypatch.setattr("gpu.models.liveedit_engine.library_for", lambda architecture: "tensorrt")
    monkeypatch.setattr("gpu.wan.engines.trt_library.MODULES", {"tensorrt": ("no_such_tensorrt",)})
    load.cache_clear()
    with pytest.raises(DeviceError, match=said):
        LiveEditModel.load("liveedit-1.3b", settings)


def test_settings_reach_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAN_DIM", 8)
    settings = ModelSettings(True, 12, steps=2, autoencoder="wan")
    model = LiveEditModel.load("liveedit-toy", settings)
    try:
        assert "Wan 2.1's autoencoder" in model.device
        frames = [picture(i, 112, 64) for i in range(12)]
        edited = list(edit_frames(model, frames, [(0, Edit(1, "a red hat", transition_ms=0))]))
        assert np.abs(edited[-1].y.astype(int) - frames[-1].y).mean() > 2
    finally:
        model.close()
    pruned = LiveEditModel.load("liveedit-toy", ModelSettings(True, mask_cache=True))
    try:
        state = pruned.open_state(112, 64)
        network, _ = state._opened()  # type: ignore[attr-defined]
        assert network.sampling.mask_cache
        more = spec_of("liveedit-toy", ModelSettings(True, mask_cache=True)).memory_bytes_per_stream
        assert more > spec_of("liveedit-toy", ModelSettings(True)).memory_bytes_per_stream
    finally:
        pruned.close()
