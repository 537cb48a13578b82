"""Whether the weights of large models are here. None is needed: nano is in the package."""

from __future__ import annotations

from gpu.checkpoints import catalogue
from gpu.checkpoints.fault import size_text
from gpu.checkpoints.store import Store
from server.config import Config
from server.doctor.finding import Finding


def weights(config: Config) -> list[Finding]:
    """One finding a model, by names and sizes of its files alone."""
    store = Store(config.models_dir)
    found = []
    for model in catalogue.MODELS:
        state, files = store.state(model), store.look(model)
        there = sum(file.have_bytes or 0 for file in files)
        size = size_text(there) if state == "ready" else f"to fetch: {store.left(model)}"
        found.append(
            Finding(
                name=f"weights {model.name}",
                ok=state == "ready",
                detail=f"{state}, {size}, in {store.root}",
                remedy=f"relens models download {model.name}",
                needed=False,
                facts={"state": state, "bytes": there, "folder": str(store.root)},
            )
        )
    return found
