"""What the tests of the store and its downloads share: a small catalogue, a hub on this machine, no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu.checkpoints import catalogue
from gpu.checkpoints.store import Store
from tests.gpu.checkpoints.loopback_hub import LoopbackHub
from tests.gpu.checkpoints.small_model import CONTENT, COUSIN, MODEL


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty one, of the small catalogue."""
    monkeypatch.setattr(catalogue, "MODELS", (MODEL, COUSIN))
    return Store(tmp_path / "models")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """Serving the small model's files, to people without a token."""
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with LoopbackHub(dict(CONTENT)).serving() as hub:
        yield hub
