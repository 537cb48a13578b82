"""Models by name."""

from __future__ import annotations

import sys
import types

import pytest

from gpu.errors import DeviceError, ModelError
from gpu.models.passthrough import PassthroughModel
from gpu.models.registry import list_models, load_model


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
