"""Files that are on this machine already become the store's, without a byte copied where links work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gpu.checkpoints import adopt as module
from gpu.checkpoints.adopt import adopt
from gpu.checkpoints.progress import Lines
from gpu.checkpoints.store import Store
from gpu.checkpoints.verify import verify
from gpu.errors import ModelError
from tests.gpu.checkpoints.small_model import CONTENT, MODEL, NETWORK, SMALL, TEXT, lay_out


def test_a_folder_is_linked_and_stays_as_it_is(store: Store, tmp_path: Path) -> None:
    lay_out(tmp_path / "mine")
    taken = adopt(store, MODEL, tmp_path / "mine")
    assert {each.how for each in taken} == {"linked"}
    assert (store.root / NETWORK).is_symlink()
    assert store.state(MODEL) == "ready"
    for each, _ in [(each.file, store.forget(each.file)) for each in taken]:
        assert (tmp_path / "mine" / each.name).read_bytes() == CONTENT[each.name]
    assert store.state(MODEL) == "not downloaded"


def test_readmes_layout_and_single_files_add_up(store: Store, tmp_path: Path) -> None:
    for name, body in CONTENT.items():
        if name.startswith("Base-AI/"):
            path = tmp_path / "base_models" / name.removeprefix("Base-AI/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    (tmp_path / "net.pt").write_bytes(CONTENT[NETWORK])
    (tmp_path / "tiny.safetensors").write_bytes(CONTENT[SMALL])
    adopt(store, MODEL, tmp_path / "base_models" / "Base")  # the repository's own folder
    assert store.state(MODEL) == "incomplete"
    adopt(store, MODEL, tmp_path / "net.pt")
    again = adopt(store, MODEL, tmp_path)
    assert {each.how for each in again} == {"there already", "linked"}
    assert store.state(MODEL) == "ready"


def test_another_file_is_refused_by_name(store: Store, tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / TEXT).write_bytes(CONTENT[TEXT][:-1])
    with pytest.raises(ModelError, match=f"text.pth has {len(CONTENT[TEXT]) - 1} bytes instead of"):
        adopt(store, MODEL, tmp_path)
    (tmp_path / TEXT).write_bytes(b"<html>".ljust(len(CONTENT[TEXT])))
    with pytest.raises(ModelError, match="no file of PyTorch's"):
        adopt(store, MODEL, tmp_path)
    (tmp_path / TEXT).write_bytes(b"PK\x03\x04".ljust(len(CONTENT[TEXT])))
    with pytest.raises(ModelError, match=f"relens models download {MODEL.name}$"):
        adopt(store, MODEL, tmp_path)


def test_a_store_that_is_shut_is_named(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path / "mine")
    stat = Path.stat

    def shut(path: Path, **how: Any) -> Any:
        if path.is_relative_to(store.root):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", shut)
    monkeypatch.setattr("gpu.checkpoints.adopt.os.path.exists", lambda path: False)
    with pytest.raises(ModelError, match=r"cannot be made \(Permission denied\).*--models-dir"):
        adopt(store, MODEL, tmp_path / "mine")


def test_the_stores_own_bad_file_is_not_taken_for_a_good_one(store: Store) -> None:
    lay_out(store.root)
    (store.root / TEXT).write_bytes(CONTENT[TEXT][:-1] + b"?")
    verify(store, MODEL, Lines(lambda line: None))
    with pytest.raises(ModelError, match="the store's own"):
        adopt(store, MODEL, store.root)
    assert len((store.root / TEXT).read_bytes()) == len(CONTENT[TEXT])


def test_a_path_with_nothing_in_it_says_what_is_wanted(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds nothing of small-edit; wanted are net\.pt"):
        adopt(store, MODEL, tmp_path)
    with pytest.raises(ModelError, match="there is no"):
        adopt(store, MODEL, tmp_path / "nowhere")


def test_where_nothing_links_a_copy_is_made_if_it_fits(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*_: Any, **__: Any) -> None:
        raise OSError(1, "Operation not permitted")

    lay_out(tmp_path / "mine")
    monkeypatch.setattr(Path, "symlink_to", no)
    taken = adopt(store, MODEL, tmp_path / "mine" / NETWORK)
    assert taken[0].how == "linked"  # hard
    assert os.stat(store.root / NETWORK).st_nlink == 2
    monkeypatch.setattr(os, "link", no)
    assert adopt(store, MODEL, tmp_path / "mine" / SMALL)[0].how == "copied"
    assert (store.root / SMALL).read_bytes() == CONTENT[SMALL]
    monkeypatch.setattr(module, "free_bytes", lambda folder: 10)
    with pytest.raises(ModelError, match="can only be copied"):
        adopt(store, MODEL, tmp_path / "mine" / TEXT)
    assert not (store.root / TEXT).exists()
