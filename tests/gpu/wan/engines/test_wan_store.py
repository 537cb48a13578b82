"""Engine files: found by the whole key, built once, rebuilt on any mismatch, bounded in bytes."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gpu.errors import DeviceError, ModelError
from gpu.wan.bindings import bindings
from gpu.wan.config import TOY, StreamShape
from gpu.wan.engines.key import graph_digest, shapes_of
from gpu.wan.engines.store import EngineKey, EngineStore, Progress

KEY = EngineKey("ab" * 32, "tensorrt", "11.4.0.106", "sm90", 580, ("noisy:1x16x3x60x104",), ("fp8",))


class Builder:
    """Builds `content` and counts how often."""

    def __init__(self, content: bytes = b"engine") -> None:
        self.content, self.built = content, 0

    def __call__(self, progress: Progress) -> bytes:
        progress(0.5, "building")
        self.built += 1
        return self.content


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines", 1 << 20)


def test_builds_once(store: EngineStore, tmp_path: Path) -> None:
    builder, seen = Builder(), []
    path = store.get(KEY, builder, lambda share, what: seen.append((share, what)))
    again = EngineStore(tmp_path / "engines", 1 << 20).get(KEY, builder)
    assert path == again
    assert path.read_bytes() == b"engine"
    assert builder.built == 1
    assert seen == [(0.5, "building"), (1.0, "ready")]
    assert "tensorrt-11.4.0.106-sm90" in path.name
    assert not list(path.parent.glob("*.part"))
    assert path.parent.stat().st_mode & 0o77 == 0  # an engine file is code: nobody else's


def test_takes_a_file(store: EngineStore, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"large")
    assert store.get(KEY, lambda _: made).read_bytes() == b"large"
    assert not made.exists()


@pytest.mark.parametrize(
    "other",
    [
        {"graph": "cd" * 32},
        {"library": "tensorrt-rtx"},
        {"version": "11.4.1"},
        {"architecture": "sm120"},
        {"driver": 590},
        {"shapes": ("noisy:2x16x3x60x104",)},
        {"flags": ()},
    ],
    ids=lambda other: next(iter(other)),
)
def test_every_part_of_the_key_counts(store: EngineStore, other: dict[str, object]) -> None:
    first = store.get(KEY, Builder(b"first"))
    second = store.get(dataclasses.replace(KEY, **other), Builder(b"second"))
    assert first != second
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def _other_key(path: Path) -> None:
    sidecar = path.with_suffix(".json")
    about = json.loads(sidecar.read_text())
    about["key"]["version"] = "10.0"
    sidecar.write_text(json.dumps(about))


@pytest.mark.parametrize(
    "spoil",
    [
        _truncate,
        _flip,
        _other_key,
        lambda path: path.unlink(),
        lambda path: path.with_suffix(".json").unlink(),
        lambda path: path.with_suffix(".json").write_text("{"),
        lambda path: path.with_suffix(".json").write_text("[]"),
    ],
    ids=["truncated", "flipped", "other version", "no file", "no sidecar", "half a sidecar", "no key"],
)
def test_never_trusted(store: EngineStore, spoil: object) -> None:
    builder = Builder()
    path = store.get(KEY, builder)
    spoil(path)  # type: ignore[operator]
    assert store.get(KEY, builder).read_bytes() == b"engine"
    assert builder.built == 2


def test_a_build_that_fails_leaves_nothing(store: EngineStore, tmp_path: Path) -> None:
    def fail(_: Progress) -> bytes:
        raise ModelError("no such operator")

    def lost(_: Progress) -> Path:
        return tmp_path / "nowhere"

    def full(_: Progress) -> bytes:
        raise OSError("no space")

    with pytest.raises(ModelError, match="no such operator"):
        store.get(KEY, fail)
    with pytest.raises(DeviceError, match="cannot be built: no space"):
        store.get(KEY, full)
    with pytest.raises(DeviceError, match="cannot be kept"):
        store.get(KEY, lost)
    assert {path.suffix for path in (tmp_path / "engines").iterdir()} == {".lock"}
    assert store.get(KEY, Builder()).read_bytes() == b"engine"


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="check the folder"):
        EngineStore(tmp_path / "file", 1).get(KEY, Builder())


def _keys(count: int) -> list[EngineKey]:
    return [dataclasses.replace(KEY, driver=driver) for driver in range(count)]


def test_least_recently_used_goes(tmp_path: Path) -> None:
    store, builder = EngineStore(tmp_path, 250), Builder(b"x" * 100)
    first, second, third = _keys(3)
    one, two = store.get(first, builder), store.get(second, builder)
    for age, path in enumerate((two, one)):  # the clock's steps are too coarse for a test
        os.utime(path.with_suffix(".json"), (age, age))
    store.get(third, builder)
    assert one.exists()
    assert not two.exists()
    assert not two.with_suffix(".json").exists()
    os.utime(one.with_suffix(".json"), (0, 0))
    store.get(first, builder)  # a hit is a use
    assert builder.built == 3
    store.get(second, builder)
    assert one.exists()
    assert builder.built == 4


def test_the_one_asked_for_stays(tmp_path: Path) -> None:
    store = EngineStore(tmp_path, 10)
    small = store.get(_keys(2)[1], Builder(b"x" * 9))
    assert store.get(KEY, Builder(b"x" * 100)).exists()
    assert not small.exists()


def test_leftovers_go(store: EngineStore) -> None:
    path = store.get(KEY, Builder())
    for name in ("a.engine", "b.part", "c.json"):
        (path.parent / name).write_bytes(b"half")
    store.get(KEY, Builder())
    assert {left.suffix for left in path.parent.iterdir() if left.stem in "abc"} == {".lock"}
    assert path.exists()


def test_no_room(store: EngineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = Builder()
    with pytest.raises(DeviceError, match="more than all of them may take"):
        store.get(KEY, builder, at_least_bytes=1 << 21)
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Disk(1 << 10))
    with pytest.raises(DeviceError, match="does not fit on the disk"):
        store.get(KEY, builder, at_least_bytes=1 << 19)
    assert builder.built == 0


@dataclasses.dataclass
class _Disk:
    free: int


def test_waiting_ends(store: EngineStore) -> None:
    path = store.get(KEY, Builder())
    with path.with_suffix(".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        seen: list[str] = []
        with pytest.raises(DeviceError, match="another process has held"):
            store.get(KEY, Builder(), lambda share, what: seen.append(what), timeout_s=0.01)
        assert "waiting for the same engine to be built" in seen


def test_threads_build_once(store: EngineStore) -> None:
    building, go = threading.Event(), threading.Event()
    builder, found = Builder(), []

    def slow(progress: Progress) -> bytes:
        building.set()
        assert go.wait(10)
        return builder(progress)

    def waiting(share: float, what: str) -> None:
        go.set()  # the second one waits: now the first may end

    one = threading.Thread(target=lambda: found.append(store.get(KEY, slow)))
    one.start()
    assert building.wait(10)
    found.append(store.get(KEY, builder, waiting))
    one.join(10)
    assert len(set(found)) == 1
    assert len(found) == 2
    assert builder.built == 1


CHILD = """
import sys, time
from pathlib import Path
from gpu.wan.engines.store import EngineKey, EngineStore
root = Path(sys.argv[1])
def build(progress):
    with (root / "builds").open("a") as log: log.write("built\\n")
    deadline = time.monotonic() + 20
    while not (root / "go").exists() and time.monotonic() < deadline: time.sleep(0.01)
    return b"engine"
def told(share, what):
    if share == 0.0: (root / "go").touch()
print(EngineStore(root / "engines", 1 << 20).get(EngineKey("g", "l", "1", "cpu"), build, told).read_bytes())
"""


def test_processes_build_once(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = [child.communicate(timeout=30)[0] for child in children]
    assert answers == [b"b'engine'\n"] * 2
    assert (tmp_path / "builds").read_text() == "built\n"


def test_digest_reads_the_weights(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    numpy = pytest.importorskip("numpy")
    weight = onnx.numpy_helper.from_array(numpy.arange(1000, dtype=numpy.float32), "w")
    ports = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1000]) for name in ("x", "y")]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weight]
    )
    path = tmp_path / "g.onnx"
    onnx.save(
        onnx.helper.make_model(graph), path, save_as_external_data=True, location="g.data", size_threshold=0
    )
    before = graph_digest(path)
    assert before == graph_digest(path)
    _flip(tmp_path / "g.data")
    assert graph_digest(path) != before
    (tmp_path / "g.data").unlink()
    with pytest.raises(ModelError, match="export it again"):
        graph_digest(path)


def test_shapes_of_a_pass() -> None:
    shape = StreamShape(64, 64)
    full = shapes_of(bindings(TOY, shape))
    assert "noisy:1x16x3x8x8" in full
    assert full != shapes_of(bindings(TOY, shape, pruned=True))
