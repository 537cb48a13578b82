"""`relens distill card`: the tables of a report into the model card, between its markers.

A marker is a line `<!-- NAME: ... -->`; what stands up to the next `<!-- /NAME -->` is written anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpu.nano.distill import packages

CARD = Path(__file__).parent.parent / "MODEL_CARD.md"


def fill(card: str, parts: Mapping[str, str]) -> tuple[str, list[str]]:
    """The card with its parts replaced, and the names of those it has no markers for."""
    missing = []
    for name, text in parts.items():
        pattern = re.compile(
            rf"(<!-- {re.escape(name)}\b[^>]*-->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL
        )
        found = pattern.search(card)
        if found is None:
            missing.append(name)
        else:
            card = f"{card[: found.start()]}{found[1]}{text.rstrip()}\n{found[2]}{card[found.end() :]}"
    return card, missing


def run(args: Any) -> int:
    """Raises SystemExit for a report that cannot be read, or parts the card has no place for."""
    try:
        report = json.loads(args.report.read_text())
        parts = {str(name): str(text) for name, text in report["card"].items()}
    except (OSError, ValueError, KeyError, AttributeError) as exc:
        raise SystemExit(f"{args.report} is no report ({exc}): run `relens distill evaluate` first") from exc
    path = args.card or CARD
    card, missing = fill(path.read_text(), {"PACKAGES": packages.table(), **parts})
    if missing:
        raise SystemExit(
            f"{path} has no place for {', '.join(missing)}: put <!-- NAME --> and <!-- /NAME --> in it"
        )
    path.write_text(card)
    print(f"{path}: {', '.join(parts)} written")
    return 0
