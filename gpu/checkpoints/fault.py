"""How a file of weights that cannot be used is spoken of: what it is, what was expected, what to do."""

from __future__ import annotations

from pathlib import Path

from gpu.errors import ModelError


def unusable(path: Path, why: str, model: str, remedy: str = "") -> ModelError:
    """A ModelError that names the file, the model whose weights were expected there, and the remedy.

    `why` follows the file's name: "is empty". `remedy` instead of downloading again."""
    return ModelError(f"{path} {why}. Expected: weights of {model}. {remedy or download(model)}")


def download(model: str) -> str:
    """What gets a model's files, or gets them again."""
    return f"Get the file again: relens models download {model}"


def size_text(size_bytes: int) -> str:
    """A file's size for people: "2.84 GB"."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.2f} {unit}"
    return f"{size_bytes} bytes"


def first_few(lines: list[str], shown: int = 5) -> str:
    """The first `shown` lines joined, and how many more there are. What a stranger's file says stays short,
    and on its line."""
    more = f"; and {len(lines) - shown} more" if len(lines) > shown else ""
    return "; ".join(tame(line) for line in lines[:shown]) + more


def tame(text: str, longest: int = 160) -> str:
    """Text out of a file, fit for a log and a terminal: nothing that does not print, an end."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text[: longest + 1])
    return printable if len(text) <= longest else printable[:longest] + "…"
