"""`relens distill`: what its commands take, what they refuse, and what they leave behind when they fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu.nano.distill import cli
from gpu.nano.distill.leftovers import absent, remove_empty

pytest.importorskip("torch", reason="the distill extra is not installed")
pytest.importorskip("cv2", reason="the distill extra is not installed")
pytest.importorskip("tqdm", reason="the distill extra is not installed")

Calls = list[tuple[str, dict[str, str]]]


def refused(*arguments: str | Path) -> str:
    """The remedy of a command that must fail."""
    with pytest.raises(SystemExit) as raised:
        cli.main([str(argument) for argument in arguments])
    assert raised.value.code
    return str(raised.value.code)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What would be run, module and options, instead of running it."""
    told: Calls = []
    monkeypatch.setattr(cli, "_run", lambda module, options: told.append((module, options)) or 0)
    return told


@pytest.mark.parametrize(("option", "value"), [
    ("--minutes", "-1"), ("--minutes", "0"), ("--minutes", "nan"), ("--minutes", "inf"),
    ("--minutes", "long"),
    ("--rate", "0"), ("--rate", "-2e-3"), ("--threads", "0"), ("--workers", "-1"), ("--workers", "1.5"),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["text", "look"])
def test_what_no_training_can_take_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, option: str, value: str
) -> None:
    refused("train", kind, "--data", tmp_path, "--out", tmp_path / "out", f"{option}={value}")
    assert f"argument {option}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("given", "remedy"), [
    (["--device", "cuda"], "leave --device cuda out"), (["--bf16"], "leave --bf16 out"),
    (["--threads", "2"], "leave --threads out"), (["--workers", "2"], "leave --workers out"),
    (["--resume"], "leave --resume out"), (["--option", "steps"], "is no KEY=VALUE"),
])  # fmt: skip
def test_what_text_cannot_take_is_refused(
    tmp_path: Path, calls: Calls, given: list[str], remedy: str
) -> None:
    assert remedy in refused("train", "text", "--out", tmp_path / "out", *given)
    assert calls == []
    assert not (tmp_path / "out").exists()


def test_what_text_is_told_is_passed_on(tmp_path: Path, calls: Calls) -> None:
    (tmp_path / "text.pt").touch()
    told = ["train", "text", "--out", str(tmp_path), "--minutes", "5", "--rate", "1e-3", "--resume"]
    assert cli.main([*told, "--device", "cpu", "--option", "seed=7"]) == 0
    ((module, options),) = calls
    assert module == cli.TEXT
    assert options["start"] == options["save"] == str(tmp_path / "text.pt")
    assert (float(options["minutes"]), float(options["rate"]), options["seed"]) == (5, 1e-3, "7")
    assert int(options["steps"]) > 10**6, "the minutes end it"


def test_text_alone_goes_by_its_own_steps_and_rate(tmp_path: Path, calls: Calls) -> None:
    assert cli.main(["train", "text", "--out", str(tmp_path / "new")]) == 0
    ((_, options),) = calls
    assert options.keys() == {"out", "save"}


@pytest.mark.slow
def test_a_text_run_is_resumed_where_it_was(tmp_path: Path) -> None:
    """Two real runs of a few steps; the second starts at the weights, and the temperature, of the first."""
    import numpy as np
    import torch

    out = tmp_path / "trained"
    assert (
        cli.main(["train", "text", "--out", str(out), "--option", "steps=2", "--option", "temperature=1.5"])
        == 0
    )
    first = torch.load(out / "text.pt", weights_only=True)
    assert first["temperature"] == 1.5
    resumed = ["train", "text", "--out", str(out), "--resume", "--rate", "1e-30", "--minutes", "0.01"]
    assert cli.main(resumed) == 0
    second = torch.load(out / "text.pt", weights_only=True)
    assert second["temperature"] == 1.5
    assert all(torch.allclose(value, second["model"][name]) for name, value in first["model"].items())
    with np.load(out / "text.npz") as weights:
        assert float(weights["temperature"]) == 1.5


@pytest.mark.slow
def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_bytes(b"none")
    command = [
        sys.executable,
        "-m",
        cli.TEXT,
        "--start",
        str(tmp_path / "text.pt"),
        "--out",
        str(tmp_path / "x.npz"),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "is no checkpoint of the text tower" in ran.stderr
    assert "Traceback" not in ran.stderr


FAILING: dict[str, Callable[[Path], list[str | Path]]] = {
    "no pool": lambda at: ["train", "look", "--data", at / "none", "--out", at / "new" / "out"],
    "no teacher": lambda at: ["train", "person", "--data", at / "none", "--out", at / "new" / "out"],
    "no option": lambda at: ["train", "look", "--data", at, "--out", at / "new" / "out", "--option", "x=1"],
    "no key": lambda at: ["train", "look", "--data", at, "--out", at / "new" / "out", "--option", "x"],
    "no folder": lambda at: ["prepare", "--folder", at / "none", "--out", at / "new" / "out"],
    "no checkpoint": lambda at: ["export", "--checkpoints", at / "none", "--weights", at / "new" / "out"],
    "no clip": lambda at: ["evaluate", at / "none.mp4", "--data", at, "--out", at / "new" / "out"],
}


@pytest.mark.parametrize("what", FAILING)
def test_what_fails_leaves_no_empty_folders(tmp_path: Path, what: str) -> None:
    remedy = refused(*FAILING[what](tmp_path))
    assert "none" in remedy or "option" in remedy
    assert list(tmp_path.iterdir()) == []


def test_only_new_and_empty_folders_go(tmp_path: Path) -> None:
    (tmp_path / "old" / "empty").mkdir(parents=True)
    wanted = [tmp_path / "old" / "empty" / "new" / "deep", tmp_path / "full", tmp_path / "never"]
    new = absent(wanted)
    (wanted[0] / "inner").mkdir(parents=True)
    (wanted[1] / "inner").mkdir(parents=True)
    (wanted[1] / "file").write_text("kept")
    remove_empty(new)
    assert not (tmp_path / "old" / "empty" / "new").exists()
    assert (tmp_path / "old" / "empty").is_dir(), "it was there before"
    assert [path.name for path in wanted[1].iterdir()] == ["file"]
