"""nano.json beside the weights: what they are, so that a wrong set is noticed when it is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from gpu.models.nano import VERSION, WEIGHT_FILES
from gpu.nano.edits import EDIT_NAMES
from gpu.nano.geometry import MOST_PIXELS, MULTIPLE


def write_metadata(weights: Path, minutes: Mapping[str, float] | None = None) -> None:
    """Write it for the files in the folder. `minutes`: of training by part; those known before stay.

    Raises OSError when a weight file is missing."""
    path = weights / "nano.json"
    known: dict[str, float] = {}
    if path.exists():
        known = json.loads(path.read_text()).get("trained_minutes", {})
        known = dict(known) if isinstance(known, dict) else {}
    known.update(minutes or {})
    about = {
        "name": "nano",
        "version": VERSION,
        "edits": list(EDIT_NAMES),
        "most_canvas_pixels": 4 * MOST_PIXELS,
        "multiple": 2 * MULTIPLE,
        "sha256": {name: hashlib.sha256((weights / name).read_bytes()).hexdigest() for name in WEIGHT_FILES},
        "trained_minutes": {
            name: round(spent, 1) for name, spent in sorted({**known, **(minutes or {})}.items())
        },
    }
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(about, indent=2) + "\n")
    partial.replace(path)
