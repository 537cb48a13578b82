"""What a check of the files says of good ones, of damaged ones, and what follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu.checkpoints.progress import Lines
from gpu.checkpoints.store import Missing, Store, part_of
from gpu.checkpoints.verify import Verdict, structure_fault, verify
from tests.gpu.checkpoints.small_model import CONTENT, MODEL, NAME, NETWORK, SMALL, TEXT, file_of, lay_out

CONFIG = "Base-AI/Base/config.json"


def verdicts(store: Store) -> dict[str, Verdict]:
    return {each.found.file.name: each for each in verify(store, MODEL, Lines(lambda line: None))}


def faults(store: Store) -> dict[str, str]:
    return {name: each.fault for name, each in verdicts(store).items() if each.fault}


def test_good_files_are_good_and_known_by_their_sums_from_then_on(store: Store) -> None:
    lay_out(store.root)
    first = verdicts(store)
    assert not any(each.fault for each in first.values())
    assert [name for name, each in first.items() if not each.sum_known] == [NETWORK]
    assert verdicts(store)[NETWORK].sum_known  # it was read once
    body = bytearray(CONTENT[NETWORK])
    body[1000] ^= 1
    (store.root / NETWORK).write_bytes(body)
    assert "sha256" in faults(store)[NETWORK]


@pytest.mark.parametrize("name", [TEXT, SMALL, CONFIG, "Base-AI/Base/words/spiece.model"])
def test_one_changed_bit_is_found_and_the_file_no_longer_counts(store: Store, name: str) -> None:
    lay_out(store.root)
    body = bytearray(CONTENT[name])
    body[-2] ^= 4
    (store.root / name).write_bytes(body)
    found = faults(store)
    assert list(found) == [name]
    assert str(store.root / name) in found[name]
    said = store.find(NAME)
    assert isinstance(said, Missing)
    assert f"{file_of(name).path.rpartition('/')[2]} is damaged" in said.message
    lay_out(store.root, name)
    assert not faults(store)
    assert store.state(MODEL) == "ready"


def test_what_is_cut_short_missing_or_half_is_told_apart(store: Store) -> None:
    lay_out(store.root)
    (store.root / TEXT).write_bytes(CONTENT[TEXT][:-7])
    (store.root / NETWORK).write_bytes(CONTENT[NETWORK][:800_000])  # of unknown size: its contents tell
    (store.root / CONFIG).unlink()
    (store.root / SMALL).rename(part_of(store.root / SMALL))
    found = faults(store)
    assert f"{len(CONTENT[TEXT]) - 7} bytes instead of {len(CONTENT[TEXT])}" in found[TEXT]
    assert "cut short" in found[NETWORK]
    assert "is missing" in found[CONFIG]
    assert "half there" in found[SMALL]


def test_files_that_others_laid_out_are_read_but_nothing_is_written_there(store: Store) -> None:
    for name, body in CONTENT.items():
        path = store.root / name.partition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    assert not faults(store)
    (store.root / "Base/text.pth").write_bytes(CONTENT[TEXT][:-1] + b"?")
    assert "sha256" in faults(store)[TEXT]
    assert not (store.root / ".relens").exists()


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("x.safetensors", (10**6).to_bytes(8, "little") + b"{}", "header alone takes"),
        ("x.safetensors", CONTENT[SMALL][:-1], "cut short"),
        ("x.pth", CONTENT[TEXT][:5000], "cut short or damaged"),
        ("x.pt", b"<!DOCTYPE html>", "no file of PyTorch's"),
        ("x.json", b"{", "not JSON"),
        ("x.json", b"[" * 100_000, "not JSON"),
        ("x.pth", CONTENT[TEXT], ""),
        ("x.model", b"anything", ""),
    ],
)
def test_headers(tmp_path: Path, name: str, body: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(body)
    said = structure_fault(tmp_path / name, "x")
    assert words in said
    assert bool(said) == bool(words)


def test_a_file_that_goes_away_meanwhile_is_a_fault_not_an_error(tmp_path: Path) -> None:
    assert "cannot be read" in structure_fault(tmp_path / "gone.pth", "x")
