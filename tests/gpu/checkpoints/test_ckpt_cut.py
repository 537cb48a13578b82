"""What a cut `.pt` has lost is named, without running what is left."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from gpu.checkpoints.cut import lost  # noqa: E402
from gpu.checkpoints.load import load_network  # noqa: E402
from gpu.errors import ModelError  # noqa: E402
from tests.gpu.checkpoints.toy_checkpoint import SMALL, Tensors, save, weights  # noqa: E402


def places(path: Path, tensors: Tensors) -> dict[str, tuple[int, int]]:
    """Where each tensor's bytes begin and end in a file: mapped, it lies at its own place."""
    held = torch.load(path, mmap=True, weights_only=True)["generator"]
    base = min(tensor.data_ptr() for tensor in held.values())
    content = path.read_bytes()
    first = min(tensors, key=lambda name: held[name].data_ptr())
    start = content.index(tensors[first].numpy().tobytes())
    return {
        name: (start + held[name].data_ptr() - base, start + held[name].data_ptr() - base + tensor.nbytes)
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("parameters", [False, True])
def test_the_lost_are_named(parameters: bool, tmp_path: Path) -> None:
    tensors = weights()
    held = {name: torch.nn.Parameter(tensor) if parameters else tensor for name, tensor in tensors.items()}
    path = save(tmp_path / "m.pt", {"generator": held, "step": 7})
    where, content = places(path, tensors), path.read_bytes()
    for share in (0.3, 0.5, 0.9):
        cut = int(len(content) * share)
        path.write_bytes(content[:cut])
        found = lost(path)
        assert found is not None
        whole, names = found
        assert cut < whole <= len(content)
        gone = [name for name in tensors if where[name][1] > cut]
        assert names == gone[len(gone) - len(names) :]
        assert (
            len(gone) - len(names) <= 12
        )  # records' headers and padding are not counted: the first may lack
        with pytest.raises(ModelError, match=r"is cut short: .* of at least .* are there. Lost: ") as caught:
            load_network(path, SMALL, torch.float32)
        assert names[0] in str(caught.value)


def test_one_storage_of_many_tensors_counts_once(tmp_path: Path) -> None:
    whole = torch.arange(4000.0)
    path = save(tmp_path / "m.pt", {"a": whole[:10], "b": whole[10:], "c": torch.ones(1000).bfloat16()})
    path.write_bytes(path.read_bytes()[:9000])
    found = lost(path)
    assert found is not None
    assert found[1] == ["a", "c"]
    assert 18000 < found[0] < 19500


@pytest.mark.parametrize("length", [0, 10, 29, 30, 45, 300])
def test_too_little_is_left_to_tell(length: int, tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"generator": weights()})
    path.write_bytes(path.read_bytes()[:length])
    assert lost(path) is None


def test_other_bytes_tell_nothing_or_something(tmp_path: Path) -> None:
    chance = random.Random(1)
    whole = save(tmp_path / "m.pt", {"generator": weights()}).read_bytes()[:20000]
    path = tmp_path / "damaged.pt"
    for _ in range(200):
        content = bytearray(whole)
        for _ in range(4):
            content[chance.randrange(6000)] = chance.randrange(256)
        path.write_bytes(content)
        found = lost(path)
        assert found is None or (found[1] and found[0] > 20000)
