"""Files that are no checkpoints, or worse: only ModelError, and nothing in them is run."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from gpu.checkpoints.load import load_network  # noqa: E402
from gpu.checkpoints.read import read  # noqa: E402
from gpu.errors import ModelError  # noqa: E402
from tests.gpu.checkpoints.toy_checkpoint import SMALL, save, weights  # noqa: E402


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_network(path, SMALL, torch.float32)
    message = str(caught.value)
    assert str(path) in message
    assert "weights of small" in message
    assert "weights_only" not in message  # torch's own advice is to let the file run its code
    return message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
        (b"<html>" + b"x" * 999, "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5", "pointer of Git LFS"),
        (b'{"error": "Repository not found"}', "is JSON text"),
        (bytes(4096), "nothing but zeros"),
        (b"GGUF\x03\x00\x00\x00" + b"x" * 64, "is no checkpoint: it begins with b'GGUF"),
        (b"PK\x03\x04" + b"x" * 200, "is cut short or damaged"),
        (b"\x80", "is no checkpoint"),
        (b"\x80\x02", "is damaged"),
        (b"\x80\x02.", "is damaged"),
        (struct.pack("<Q", 500) + b"{" + b" " * 20, "is cut short or damaged"),
        (struct.pack("<Q", 2) + b"{}", "no network"),
        (struct.pack("<Q", 1 << 31) + b"{" + b" " * 20, "is cut short or damaged"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else "",
)
def test_what_is_no_checkpoint_is_called_what_it_is(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    assert said in refused(path)


def test_missing_and_not_a_file(tmp_path: Path) -> None:
    message = refused(tmp_path / "none.pt")
    assert "is missing" in message
    assert "relens models download small" in message
    assert "holds no weights" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "is neither a file nor a folder" in refused(tmp_path / "pipe")
    for name in ("a.pt", "b.pt"):
        save(tmp_path / name, weights())
    assert "holds 2 files of weights (a.pt; b.pt)" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", weights())
    path.chmod(0)
    assert "cannot be read" in refused(path)


@pytest.mark.parametrize("where", ["top", "beside", "within"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_does_not(where: str, zipped: bool, tmp_path: Path) -> None:
    trap = Touch(tmp_path / "it-ran")
    held: Any = {
        "top": trap,
        "beside": {"generator": weights(), "callback": trap},
        "within": {"generator": {**weights(), "x": [trap]}},
    }[where]
    path = tmp_path / "model.pt"
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    message = refused(path)
    assert "asks to run code when it is opened (posix.mkdir)" in message
    assert ".safetensors" in message
    assert not trap.path.exists()
    torch.load(path, weights_only=False)  # the trap does work
    assert trap.path.exists()


def test_a_bare_pickle_that_runs_code_does_not(tmp_path: Path) -> None:
    trap = Touch(tmp_path / "it-ran")
    for protocol in range(2, 6):
        (tmp_path / "model.pt").write_bytes(pickle.dumps({"generator": trap}, protocol))
        refused(tmp_path / "model.pt")
    assert not trap.path.exists()


def test_what_a_module_is_made_of_is_not_loaded(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    assert "asks to run code" in refused(tmp_path / "module.pt")
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    assert "holds a list, not tensors by name" in refused(tmp_path / "list.pt")


def archive(path: Path, records: dict[str, bytes], compress: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compress) as made:
        for name, content in records.items():
            made.writestr(name, content)
    return path


def test_archives_that_are_not_pytorchs(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    assert "but not one of PyTorch's" in refused(archive(path, {"readme.txt": b"hello"}))
    assert "TorchScript" in refused(archive(path, {"m/data.pkl": b"", "m/constants.pkl": b""}))
    bomb = {"m/data.pkl": bytes(1 << 20)}
    assert "compressed record (m/data.pkl)" in refused(archive(path, bomb, zipfile.ZIP_DEFLATED))
    assert "far more than any network's names" in refused(archive(path, {"m/data.pkl": bytes(65 << 20)}))
    refused(archive(path, {"m/data.pkl": b"\x80\x02}q\x00.", "m/version": b"9\n"}))


def test_a_record_beyond_the_end(tmp_path: Path) -> None:
    """The list of contents says more than there is: found before a page beyond the end is touched."""
    path = save(tmp_path / "model.pt", {"generator": weights()})
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    for field in (20, 24):  # compressed and uncompressed size (APPNOTE 4.3.12)
        struct.pack_into("<I", content, entry + field, 1 << 30)
    path.write_bytes(content)
    assert "is cut short" in refused(path)


def header(entries: Any, data: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        header({"a": 1}),
        header({"a": {"dtype": "F32", "shape": [1]}}),
        header({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1e999]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [1 << 60, 1 << 60], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(400)),
        struct.pack("<Q", 20000) + b"{" + b'"a":[' * 3999 + bytes(9999),
        struct.pack("<Q", 8) + b"{\xff\xff\xff\xff\xff\xff}",
    ],
)
def test_headers_of_safetensors(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(path)


def test_a_cut_safetensors_names_what_it_lost(tmp_path: Path) -> None:
    path = save(tmp_path / "model.safetensors", weights())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    message = refused(path)
    assert f"of {len(content) / 1000:.2f} kB are there. Lost: " in message
    assert "more. Expected" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no index"),
        ("[]", "is no index"),
        ('{"weight_map": 3}', "is no index"),
        ('{"weight_map": {"a": "../../etc/passwd"}}', "names files outside its folder"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "names files outside its folder"),
        ('{"weight_map": {"a": ".."}}', "names files outside its folder"),
        ('{"weight_map": {"a": "gone.safetensors"}}', "names 1 files that are missing"),
        ('{"weight_map": {"a": "m.safetensors.index.json"}}', "names another index"),
        ('{"weight_map": {"a": "one.safetensors"}}', "lacks what its index promises: a"),
        ("[" * 100_000, "is no index"),
    ],
)
def test_indexes(text: str, said: str, tmp_path: Path) -> None:
    save(tmp_path / "one.safetensors", {"b": torch.ones(1)})
    (tmp_path / "m.safetensors.index.json").write_text(text)
    with pytest.raises(ModelError, match=said):
        read(tmp_path, "small")


def test_what_a_file_says_is_tamed(tmp_path: Path) -> None:
    """Names go into logs, terminals and answers: short, and nothing that does not print."""
    tensors = {**weights(), "\x1b[2Jx\nfake line" + "y" * 10**6: torch.ones(1)}
    for path in (tmp_path / "m.safetensors", tmp_path / "m.pt"):
        message = refused(save(path, tensors))
        assert "?[2Jx?fake line" in message
        assert message.isprintable()
        assert len(message) < 1000
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "\n" * 10**5}}))
    with pytest.raises(ModelError) as caught:
        read(index, "small")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


TINY = {"blocks.0.a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(5, dtype=torch.bfloat16)}


def as_bytes(kind: str) -> bytes:
    if kind == "safetensors":
        from safetensors.torch import save as dump

        return bytes(dump(TINY))
    out = io.BytesIO()
    torch.save({"generator": TINY, "step": 5}, out, _use_new_zipfile_serialization=kind == "zip")
    return out.getvalue()


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_damaged_files_meet_model_errors_only(kind: str, tmp_path: Path) -> None:
    """Bytes flipped, cut, repeated or left out, seeded: what still loads can be read to its last byte."""
    chance = random.Random(kind)
    whole = as_bytes(kind)
    path = tmp_path / "m.bin"
    loaded = 0
    for _ in range(500):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(content))
            match chance.randrange(5):
                case 0:
                    content[at] ^= 1 << chance.randrange(8)
                case 1:
                    content[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2:
                    del content[at + 1 :]
                case 3:
                    del content[at : at + chance.randrange(1, 9)]
                case 4:
                    content[at:at] = content[at : at + chance.randrange(1, 9)]
            if not content:
                break
        path.write_bytes(content)
        try:
            held = read(path, "small")
        except ModelError:
            continue
        loaded += 1
        for tensor in held.get("generator", held).values() if isinstance(held, dict) else ():
            if isinstance(tensor, torch.Tensor) and tensor.numel() < 1000:
                assert tensor.clone().shape == tensor.shape
    assert loaded < 500


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_every_cut_is_noticed(kind: str, tmp_path: Path) -> None:
    whole = as_bytes(kind)
    path = tmp_path / "m.bin"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            read(path, "small")
