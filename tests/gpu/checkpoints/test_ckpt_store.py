"""Where weights are found, in our layout and in others', and what is said of what is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpu.checkpoints import catalogue
from gpu.checkpoints.catalogue import LIVEEDIT
from gpu.checkpoints.records import Record
from gpu.checkpoints.store import Missing, Store, Weights, find, part_of
from gpu.errors import ModelError
from tests.gpu.checkpoints.small_model import (
    CONTENT,
    COUSIN,
    MODEL,
    NAME,
    NETWORK,
    SMALL,
    TEXT,
    file_of,
    lay_out,
)


def found(store: Store) -> Weights:
    weights = store.find(NAME)
    assert isinstance(weights, Weights), weights
    return weights


def missing(store: Store) -> str:
    weights = store.find(NAME)
    assert isinstance(weights, Missing)
    assert "\n" not in weights.message
    return weights.message


def test_the_catalogue_pins_all_that_can_be_pinned() -> None:
    for file in LIVEEDIT.files:
        if file.part == "network":  # nobody has said its sum yet: the hub's counts
            assert (file.size_bytes, file.sha256, file.source.revision) == (None, None, "main")
            assert "commercial" in file.source.terms.allows
            assert "unclear" in file.source.terms.licence
        else:
            assert file.size_bytes
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256 or "")
            assert re.fullmatch(r"[0-9a-f]{40}", file.source.revision)
    assert len({file.name for file in LIVEEDIT.files}) == len(LIVEEDIT.files)
    parts = {"network", "config", "text_encoder", "tokenizer", "autoencoder", "tiny_autoencoder"}
    assert {file.part for file in LIVEEDIT.files} == parts
    with pytest.raises(ModelError, match=r"liveedit-1\.3b"):
        catalogue.named("nothing")


def test_liveedit_without_weights_is_one_message_with_size_and_command(tmp_path: Path) -> None:
    said = find("liveedit-1.3b", str(tmp_path))
    assert isinstance(said, Missing)
    for word in (
        "liveedit-1.3b",
        "11.91 GB",
        "relens models download liveedit-1.3b",
        "--from",
        str(tmp_path),
    ):
        assert word in said.message


def test_a_folder_that_is_shut_is_named_in_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(path: object, *_: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:  # a test that root runs is let in anywhere
        patched.setattr(Path, "is_dir", shut)
        patched.setattr(Path, "stat", shut)
        patched.setattr("gpu.checkpoints.store.os.access", lambda path, mode: False)
        answer = find("liveedit-1.3b", str(tmp_path))
    assert isinstance(answer, Missing)
    wanted = f"looked in {tmp_path}, which this user may not read: open it to the user, or choose another by "
    assert answer.message.endswith(f"{wanted}--models-dir")


def test_our_own_layout(store: Store) -> None:
    assert store.state(MODEL) == "not downloaded"
    assert "not on this machine" in missing(store)
    assert not store.root.exists()  # looking makes nothing
    lay_out(store.root)
    weights = found(store)
    assert weights.parts["network"] == store.root / NETWORK
    assert weights.parts["tokenizer"] == store.root / "Base-AI/Base/words"
    assert len(weights.parts) == 6
    assert store.state(MODEL) == "ready"


def moved(folder: Path, places: dict[str, str]) -> None:
    """The small model's files, each repository in a folder of another name."""
    for name, body in CONTENT.items():
        owner, repo, path = name.split("/", 2)
        place = folder / places[f"{owner}/{repo}"] / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)


@pytest.mark.parametrize(
    "places",
    [
        {"someone/Edit": "Edit", "Base-AI/Base": "Base", "else/tiny": "tiny"},
        {"someone/Edit": "checkpoints/edit", "Base-AI/Base": "base_models/Base", "else/tiny": "."},
        {"someone/Edit": ".", "Base-AI/Base": ".", "else/tiny": "."},
        {
            "someone/Edit": "models--someone--Edit/snapshots/aa",
            "Base-AI/Base": "hub/models--Base-AI--Base/snapshots/bb",
            "else/tiny": "hub/models--else--tiny/snapshots/cc",
        },
    ],
)
def test_folders_that_others_laid_out(store: Store, places: dict[str, str]) -> None:
    moved(store.root, places)
    weights = found(store)
    for name in (NETWORK, TEXT, SMALL):
        assert weights.parts[file_of(name).part].read_bytes() == CONTENT[name]
    assert {path.name for path in weights.parts["tokenizer"].iterdir()} >= {"tokenizer.json", "spiece.model"}


def test_what_a_foreign_layout_lacks_is_taken_from_ours(store: Store) -> None:
    moved(store.root, {"someone/Edit": "Edit", "Base-AI/Base": "Base", "else/tiny": "tiny"})
    (store.root / "Base/vae.pth").unlink()
    assert "vae.pth is missing" in missing(store)
    lay_out(store.root, "Base-AI/Base/vae.pth")
    assert found(store).parts["text_encoder"] == store.root / "Base/text.pth"


def test_a_tokenizer_is_never_put_together_from_two_folders(store: Store) -> None:
    lay_out(store.root)
    (store.root / "Base-AI/Base/words/spiece.model").rename(store.root / "spiece.model")
    (store.root / "words").mkdir()
    (store.root / "spiece.model").rename(store.root / "words/spiece.model")
    assert "spiece.model is missing" in missing(store)


def test_a_file_cut_short_is_named_with_its_sizes(store: Store) -> None:
    lay_out(store.root)
    (store.root / TEXT).write_bytes(CONTENT[TEXT][:100_000])
    said = missing(store)
    assert "incomplete (text.pth: 100.00 kB of 200." in said
    assert store.state(MODEL) == "incomplete"
    assert f"relens models download {NAME}" in said


def test_half_a_download_never_counts(store: Store) -> None:
    lay_out(store.root)
    (store.root / NETWORK).rename(part_of(store.root / NETWORK))
    assert "net.pt" in missing(store)
    (store.root / NETWORK).write_bytes(b"")
    assert "net.pt" in missing(store)


def test_of_a_file_of_unknown_size_the_record_says_it(store: Store) -> None:
    lay_out(store.root)
    store.records.put(file_of(NETWORK), Record(size_bytes=len(CONTENT[NETWORK]) + 1))
    assert "1.50 MB of 1.50 MB" in missing(store)
    store.records.path(file_of(NETWORK)).write_text("{not json")
    found(store)  # a record that cannot be read is none


def test_what_a_check_found_bad_counts_until_the_file_is_another(store: Store) -> None:
    lay_out(store.root)
    moment = (store.root / SMALL).stat().st_mtime_ns
    record = Record(size_bytes=len(CONTENT[SMALL]), fault="is damaged", fault_mtime_ns=moment)
    store.records.put(file_of(SMALL), record)
    assert "tiny.safetensors is damaged" in missing(store)
    (store.root / SMALL).unlink()
    lay_out(store.root, SMALL)
    found(store)


def test_removing_frees_what_no_other_model_needs(store: Store) -> None:
    lay_out(store.root)
    going, kept = store.removable(MODEL)
    assert {each.file.name for each in going} == set(CONTENT)
    assert not kept  # the cousin shares most files, but has none of its own here
    (store.root / "someone/Edit/cousin.pt").write_bytes(b"PK\x03\x04")
    going, kept = store.removable(MODEL)
    assert [each.file.name for each in going] == [NETWORK]
    assert {user for _, user in kept} == {COUSIN.name}
    assert store.forget(going[0].file) == len(CONTENT[NETWORK])
    assert store.state(COUSIN) == "ready"
    assert store.state(MODEL) == "incomplete"


def test_removing_leaves_no_empty_folders_and_no_foreign_files(store: Store) -> None:
    lay_out(store.root)
    part_of(store.root / TEXT).write_bytes(b"half")
    (store.root / "someone/notes.txt").write_text("mine")
    (store.root / "Base/words").mkdir(parents=True)
    for found in store.removable(MODEL)[0]:
        store.records.put(found.file, Record(size_bytes=1))
        store.forget(found.file)
    left = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}
    assert left == {"someone/notes.txt"}
    assert not (store.root / "Base-AI").exists()
    assert not (store.root / ".relens/Base-AI").exists()
