"""`relens models` as people type it: real processes, a small catalogue, a hub on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from gpu.checkpoints import catalogue
from gpu.checkpoints.store import Store, part_of
from server.__main__ import main
from tests.gpu.checkpoints.loopback_hub import LoopbackHub
from tests.gpu.checkpoints.small_model import CONTENT, MODEL, NAME, NETWORK, SMALL, TEXT, lay_out

ROOT = Path(__file__).resolve().parents[2]
RELENS = """
from gpu.checkpoints import catalogue
from tests.gpu.checkpoints.small_model import COUSIN, MODEL
catalogue.MODELS = (MODEL, COUSIN)
from server.__main__ import main
raise SystemExit(main())
"""
LIMIT_S = 60


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub(dict(CONTENT)).serving() as hub:
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "weights")


class Relens:
    """The command in a process of its own."""

    def __init__(self, store: Store, hub: LoopbackHub, **environ: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "RELENS_"))}
        self.environ = (
            kept | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(store.root.parent / "hf")} | environ
        )
        self.environ["RELENS_MODELS_DIR"] = str(store.root)

    def start(self, *words: str, **streams: int) -> subprocess.Popen[str]:
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        return subprocess.Popen(
            [sys.executable, "-c", RELENS, "models", *words], cwd=ROOT, env=self.environ, text=True, **given
        )

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        process = self.start(*words)
        out, errors = process.communicate(timeout=LIMIT_S)
        assert "Traceback" not in errors, errors
        return process.returncode, out, errors


def test_from_nothing_to_ready_checked_and_removed(store: Store, hub: LoopbackHub) -> None:
    relens = Relens(store, hub)
    code, out, errors = relens("download", NAME, "--yes")
    assert code == 0, errors
    for word in ("To fetch: 1.84 MB", "Commercial use is unclear", "Apache-2.0", f"{NAME} is ready"):
        assert word in out
    assert "MB/s" in errors  # lines, as this is no terminal
    assert store.state(MODEL) == "ready"
    code, out, _ = relens("verify", NAME)
    assert (code, out.splitlines()[-1]) == (0, f"{NAME} is whole")
    assert out.count("ok ") == len(CONTENT)
    assert relens("download", NAME, "--yes")[1].count("nothing to fetch") == 1
    code, out, _ = relens("remove", NAME, "--yes")
    assert code == 0
    assert "1.84 MB freed" in out
    assert store.state(MODEL) == "not downloaded"
    code, out, _ = relens("verify", NAME)
    assert code == 1
    assert f"relens models download {NAME}" in out


def test_nothing_is_fetched_or_removed_unasked(store: Store, hub: LoopbackHub) -> None:
    relens = Relens(store, hub)
    code, _, errors = relens("download", NAME)
    assert code == 2
    assert "--yes" in errors
    assert not hub.asked
    lay_out(store.root)
    code, _, errors = relens("remove", NAME)
    assert code == 2
    assert "--yes" in errors
    assert store.state(MODEL) == "ready"


@pytest.mark.parametrize(("answer", "code", "state"), [("n", 1, "not downloaded"), ("y", 0, "ready")])
def test_on_a_terminal_the_licence_is_asked_for(
    store: Store, hub: LoopbackHub, answer: str, code: int, state: str
) -> None:
    ours, theirs = pty.openpty()
    screen: list[bytes] = []

    def watch() -> None:
        with contextlib.suppress(OSError):  # how a terminal ends
            while seen := os.read(ours, 1 << 12):
                screen.append(seen)

    watching = threading.Thread(target=watch, name="watch")
    process = Relens(store, hub).start("download", NAME, stdin=theirs, stderr=theirs)
    os.close(theirs)
    watching.start()
    try:
        os.write(ours, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == code, out
        assert "Commercial use is unclear" in out
        assert "under these terms?" in out
        assert store.state(MODEL) == state
    finally:
        process.kill()
        watching.join(10)
        os.close(ours)
    assert ("B/s" in b"".join(screen).decode()) == (answer == "y")  # a bar


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_goes_on_where_it_stopped(
    store: Store, hub: LoopbackHub, end: signal.Signals
) -> None:
    relens = Relens(store, hub)
    hub.hold_at[NETWORK] = 800_000
    process = relens.start("download", NAME, "--yes")
    assert hub.held.wait(LIMIT_S)
    part = part_of(store.root / NETWORK)
    deadline = time.monotonic() + LIMIT_S
    while not (part.exists() and part.stat().st_size > 500_000):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(end)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert "Traceback" not in errors
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert "it goes on where it was" in errors
    there = part.stat().st_size
    assert not (store.root / NETWORK).exists()
    assert store.state(MODEL) == "incomplete"
    hub.go_on.set()
    hub.asked.clear()
    code, out, errors = relens("download", NAME, "--yes")
    assert code == 0, errors
    assert "of it there already" in out
    sent = [(asked.start, asked.sent) for asked in hub.asked if asked.name == NETWORK and asked.sent]
    assert sent == [(there, len(CONTENT[NETWORK]) - there)]
    assert (store.root / NETWORK).read_bytes() == CONTENT[NETWORK]


def test_a_damaged_file_is_named_and_it_alone_is_fetched_again(store: Store, hub: LoopbackHub) -> None:
    relens = Relens(store, hub)
    lay_out(store.root)
    (store.root / TEXT).write_bytes(CONTENT[TEXT][:-1] + b"?")
    code, out, _ = relens("verify", NAME)
    assert code == 1
    assert f"BAD  {store.root / TEXT}" in out
    assert f"relens models download {NAME}" in out
    assert relens("download", NAME, "--yes")[0] == 0
    assert {asked.name for asked in hub.asked} == {TEXT}
    assert relens("verify", NAME)[0] == 0


def test_offline_what_is_there_serves_and_what_is_not_is_said(store: Store, hub: LoopbackHub) -> None:
    relens = Relens(store, hub, HF_HUB_OFFLINE="1")
    code, _, errors = relens("download", NAME, "--yes")
    assert code == 2
    assert "HF_HUB_OFFLINE is set" in errors
    lay_out(store.root)
    assert relens("download", NAME, "--yes")[0] == 0
    assert relens("verify", NAME)[0] == 0
    assert not hub.asked


def test_files_from_elsewhere_are_added(store: Store, hub: LoopbackHub, tmp_path: Path) -> None:
    relens = Relens(store, hub)
    lay_out(tmp_path / "mine", *(name for name in CONTENT if name != SMALL))
    code, out, _ = relens("add", NAME, "--from", str(tmp_path / "mine"))
    assert code == 1
    assert f"Still missing: {SMALL}" in out
    lay_out(tmp_path / "mine", SMALL)
    assert relens("add", NAME, "--from", str(tmp_path / "mine"))[0] == 0
    code, out, _ = relens("remove", NAME, "--yes")
    assert code == 0
    assert "what it points to stays" in out
    assert (tmp_path / "mine" / TEXT).read_bytes() == CONTENT[TEXT]
    assert relens("add", NAME, "--from", str(tmp_path / "nowhere"))[0] == 2


def test_errors_are_one_line_and_exit_code_2(store: Store, hub: LoopbackHub) -> None:
    hub.refusals[TEXT] = (401, "GatedRepo")
    code, _, errors = Relens(store, hub)("download", NAME, "--yes")
    assert code == 2
    assert len(errors.splitlines()) == 1
    assert errors.startswith("relens: Base-AI/Base is given only to those who accepted its terms")


def test_models_of_the_package_need_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("download", "verify", "remove"):
        assert main(["models", action, "nano"]) == 0
        assert "part of relens" in capsys.readouterr().out
    assert main(["models", "download", "nothing"]) == 2
    assert "nano" in capsys.readouterr().err


def test_the_list_says_each_models_state(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every place where --models-dir may stand."""

    def states(*words: str) -> dict[str, str]:
        assert main(["models", *words]) == 0
        listed = json.loads(capsys.readouterr().out)["models"]
        return {model["name"]: model["state"] for model in listed}

    folder = str(tmp_path)
    assert states("list", "--json", "--models-dir", folder) == states("--models-dir", folder, "--json")
    assert states("--json", "--models-dir", folder)["nano"] == "ready"
    assert states("--json", "--models-dir", folder)["liveedit-1.3b"] == "not downloaded"
    (tmp_path / "config.json").write_bytes(b"{}")
    assert states("--json", "--models-dir", folder)["liveedit-1.3b"] == "incomplete"
    assert main(["models", "--models-dir", folder]) == 0
    text = capsys.readouterr().out
    assert "relens models download liveedit-1.3b" in text
    assert catalogue.LIVEEDIT.sources[0].terms.licence in text


def test_serve_without_weights_is_one_message_that_says_what_to_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["serve", "--model", "liveedit-1.3b", "--port", "0", "--models-dir", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1
    assert "relens models download liveedit-1.3b" in said.err
    assert not said.out
