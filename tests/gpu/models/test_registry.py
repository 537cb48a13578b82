"""Models by name."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpu.errors import DeviceError, ModelError
from gpu.models import liveedit_spec, registry
from gpu.models.passthrough import PassthroughModel
from gpu.models.registry import list_large, list_models, load_model
from gpu.models.settings import ModelSettings
from gpu.types import ModelSpec


def test_passthrough_loads_and_is_listed() -> None:
    assert isinstance(load_model("passthrough"), PassthroughModel)
    assert "passthrough" in [spec.name for spec in list_models()]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="nano, nano-plus, passthrough"):
        load_model("gigantic")


def test_nano_without_its_module_or_weights_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpu.models.nano", None)
    with pytest.raises(DeviceError, match="make setup"):
        load_model("nano")
    assert [spec.name for spec in list_models()] == ["passthrough"]

    class Unreadable:
        @classmethod
        def load(cls, threads: int, name: str) -> None:
            raise FileNotFoundError("nano.onnx")

    broken = types.ModuleType("gpu.models.nano")
    broken.NanoModel = Unreadable  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpu.models.nano", broken)
    with pytest.raises(ModelError, match=r"nano\.onnx.*install"):
        load_model("nano")


@pytest.fixture
def empty(tmp_path: Path) -> str:
    """A folder for weights, without any."""
    return str(tmp_path)


def names(specs: Sequence[ModelSpec]) -> list[str]:
    return [spec.name for spec in specs]


def test_a_large_model_is_listed_where_it_can_be_loaded(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda module: object())
    assert not set(names(list_models(ModelSettings(models_dir=empty)))) & set(registry.LARGE_NAMES)
    assert names(list_large(ModelSettings(models_dir=empty))) == ["liveedit-1.3b"], "there, if not loadable"
    random = ModelSettings(random_weights=True, models_dir=empty)
    assert names(list_models(random))[-2:] == ["liveedit-1.3b", "liveedit-toy"]
    assert all("means nothing" in spec.note for spec in list_large(random))
    assert list_large()[0].note == ""
    monkeypatch.setattr(registry, "find_spec", lambda module: None)
    assert not set(names(list_models(random))) & set(registry.LARGE_NAMES)


def test_all_that_a_large_model_lacks_is_said_at_once(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda module: None if module == "transformers" else object())
    wanted = (
        r"relens models download liveedit-1\.3b.*needs transformers: run `pip install 'relens\[liveedit\]'`"
    )
    with pytest.raises(ModelError, match=wanted):
        load_model("liveedit-1.3b", settings=ModelSettings(models_dir=empty))
    with pytest.raises(ModelError, match="add --random-weights"):
        load_model("liveedit-toy", settings=ModelSettings(models_dir=empty))
    monkeypatch.setattr(registry, "find_spec", lambda module: None)
    with pytest.raises(ModelError, match="needs torch, diffusers"):
        load_model("liveedit-toy", settings=ModelSettings(True, autoencoder="wan"))


def test_a_large_model_takes_as_many_threads_as_it_is_given() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        load_model("liveedit-toy", 3, ModelSettings(True)).close()
        assert torch.get_num_threads() == 3
        load_model("liveedit-toy", 0, ModelSettings(True)).close()
        assert torch.get_num_threads() == 3, "nothing was asked for"
        model = load_model("liveedit-toy", 2, ModelSettings(True, engine="onnxruntime"))
        assert "2 threads" in model.device
        model.close()
    finally:
        torch.set_num_threads(before)


def test_what_a_stream_takes_follows_from_its_shapes() -> None:
    full = liveedit_spec.spec_of("liveedit-1.3b").memory_bytes_per_stream
    ring = 2 * 30 * 12 * 1560 * 1536 * 2  # keys and values, layers, latents, tokens, width, bytes
    assert ring < full < 1.6 * ring
    larger = liveedit_spec.spec_of("liveedit-1.3b", ModelSettings(chunk_frames=12))
    assert larger.memory_bytes_per_stream > full
    assert larger.frames_per_chunk == 12


def test_a_source_gets_the_canvas_of_its_shape() -> None:
    of = {
        size: liveedit_spec.canvas_of("liveedit-1.3b", *size)
        for size in ((640, 360), (1280, 720), (1920, 1080), (640, 480), (720, 1280), (360, 640), (320, 320))
    }
    assert of == {
        (640, 360): (640, 352), (1280, 720): (832, 480), (1920, 1080): (832, 480), (640, 480): (832, 480),
        (720, 1280): (480, 832), (360, 640): (352, 640), (320, 320): (640, 352),
    }  # fmt: skip


def test_listing_and_refusing_import_no_torch(empty: str) -> None:
    code = (
        "import sys; from gpu.models.registry import *; from gpu.models.settings import *; "
        f"s = ModelSettings(models_dir={empty!r}); list_models(s); why_not('liveedit-1.3b', s); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
