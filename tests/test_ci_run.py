"""That .ci/run cannot hang, leaves nothing behind, and carries the verdict of its steps (made up here)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
RUN = Path(__file__).resolve().parents[1] / ".ci" / "run"


def run(folder: Path, steps: str, limit_s: int = 60) -> subprocess.CompletedProcess[str]:
    (folder / ".ci").mkdir()
    shutil.copy(RUN, folder / ".ci" / "run")
    (folder / ".ci" / "steps").write_text(steps, encoding="utf-8")
    return subprocess.run(
        ["bash", str(folder / ".ci" / "run")],
        stdin=subprocess.DEVNULL,
        capture_output=True,  # ends only when nobody holds the output open any more
        text=True,
        timeout=90,
        env={**os.environ, "CI_LIMIT_S": str(limit_s)},
        check=False,
    )


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not lives(pid)


@pytest.mark.parametrize("code", [0, 3])
def test_the_verdict_and_the_summary_come_out(tmp_path: Path, code: int) -> None:
    line = "=========== 5 passed, 1 skipped in 3.20s ==========="
    done = run(tmp_path, f"echo before\necho '{line}'\necho after\nexit {code}\n")
    assert done.returncode == code
    assert "before" in done.stdout
    assert done.stdout.splitlines()[-1] == line


def test_what_the_steps_leave_running_is_ended(tmp_path: Path) -> None:
    """Even what started a session of its own and does not listen to SIGTERM."""
    done = run(
        tmp_path, f"setsid bash -c 'trap \"\" TERM; echo $$ >{tmp_path}/pid; sleep 300' &\nsleep 1\nexit 0\n"
    )
    assert done.returncode == 0
    assert ends(int((tmp_path / "pid").read_text(encoding="utf-8")))


def test_steps_that_hang_are_ended_at_the_limit(tmp_path: Path) -> None:
    done = run(tmp_path, f"echo $$ >{tmp_path}/pid\necho began\nsleep 300\n", limit_s=2)
    assert done.returncode == 124
    assert "began" in done.stdout
    assert "ended after its limit" in done.stdout
    assert ends(int((tmp_path / "pid").read_text(encoding="utf-8")))


def test_there_is_no_input_to_wait_for(tmp_path: Path) -> None:
    assert "read nothing" in run(tmp_path, "read -r line || echo read nothing\n").stdout
