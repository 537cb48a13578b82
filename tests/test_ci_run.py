"""That .ci/run cannot hang, leaves nothing behind, and carries the verdict of its steps (made up here); that
.ci/tests goes on behind a test that hung or died, tries again one that failed, and says which."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TESTS = Path(__file__).resolve().parent
CI = TESTS.parent / ".ci"


def run(folder: Path, steps: str, limit_s: int = 60) -> subprocess.CompletedProcess[str]:
    (folder / ".ci").mkdir()
    for name in ("run", "tests"):
        shutil.copy(CI / name, folder / ".ci" / name)
    (folder / ".ci" / "steps").write_text(steps, encoding="utf-8")
    return subprocess.run(
        ["bash", str(folder / ".ci" / "run")],
        stdin=subprocess.DEVNULL,
        capture_output=True,  # ends only when nobody holds the output open any more
        text=True,
        timeout=limit_s + 30,
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


HEAD = """
import ctypes, os, pathlib, signal, time
import pytest

def first_time():
    try:
        pathlib.Path("been-here").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

def hang():  # in C and with the interpreter's lock: no signal is seen to
    lock = ctypes.create_string_buffer(64)
    while True:
        ctypes.PyDLL(None).pthread_mutex_lock(lock)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def test_before(): pass
"""


SUITES = {
    "hangs once": "def test_ends():\n    if first_time(): hang()\n\ndef test_after(): pass\n",
    "dies once": "def test_ends():\n    if first_time(): die()\n\ndef test_after(): pass\n",
    "dies beside another": "def test_ends():\n    if first_time(): die()\n\ndef test_after(): pass\n",
    "fails once": "def test_ends():\n    assert not first_time()\n\ndef test_after(): pass\n",
    "fails, then dies once": "def test_fails(): assert 0\n\ndef test_ends():\n    if first_time(): die()\n",
    "fails, then hangs": (
        "def test_fails(): assert False\n\n"
        "@pytest.fixture\ndef held():\n    yield\n    hang()\n\ndef test_hangs(held): pass\n"
    ),
    "leaves a thread": (
        "from tests import run_limits\nrun_limits.EXECUTOR_S, run_limits.EXIT_S = 0.5, 2.0\n"
        "import asyncio\nasync def test_waits():\n    await asyncio.to_thread(time.sleep, 60)\n\n"
        "def test_after(): pass\n"
    ),
    "waits in its teardown": (
        "from tests import run_limits\nrun_limits.TEARDOWN_S = 0.5\n"
        "@pytest.fixture\ndef held():\n    yield\n    time.sleep(60)\n\n"
        "def test_waits(held): time.sleep(60)\n\ndef test_after(): pass\n"
    ),
}
# Not all that are installed: some take seconds to start.
PLUGINS = "-p no:cacheprovider -p pytest_asyncio.plugin -p pytest_timeout -p pytest_rerunfailures"
Told = Callable[[str], list[str]]


def run_tests(folder: Path, suite: str) -> list[str]:
    """The lines that .ci/run prints for a suite, behind its exit code."""
    (folder / "tests").mkdir()
    for name in ("conftest.py", *(path.name for path in TESTS.glob("run_*.py"))):
        shutil.copy(TESTS / name, folder / "tests" / name)
    (folder / "tests" / "test_made_up.py").write_text(HEAD + SUITES[suite], encoding="utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\npythonpath = .\nasyncio_mode = auto\ntimeout = 1\n"
        "asyncio_default_fixture_loop_scope = function\n"
        "faulthandler_timeout = 3\nfaulthandler_exit_on_timeout = true\n",
        encoding="utf-8",
    )
    make = f"test:\n\t@PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest {PLUGINS} $(ARGS)\n"
    (folder / "Makefile").write_text(make, encoding="utf-8")
    beside = " -p xdist.plugin -n 2 --dist loadfile --max-worker-restart=0" if "beside" in suite else ""
    done = run(folder, f"bash .ci/tests run --color=no{beside}\n", limit_s=90)
    return [str(done.returncode), *done.stdout.splitlines()]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """What is printed of a suite. All are run at once, as most of them wait most of the time."""
    with ThreadPoolExecutor(4) as threads:
        runs = {suite: threads.submit(run_tests, tmp_path_factory.mktemp("suite"), suite) for suite in SUITES}
        yield lambda suite: runs[suite].result(110)


@pytest.mark.parametrize("suite", ["hangs once", "dies once"])
def test_a_test_that_ends_the_interpreter_is_tried_once_more_and_named(told: Told, suite: str) -> None:
    code, *lines = told(suite)
    assert code == "0"
    assert any("STOPPED IN THE MIDDLE" in line for line in lines)
    assert any("2 passed, 1 deselected" in line for line in lines)  # what was done is not done again
    assert lines[-1] == "CI: hung or died in: tests/test_made_up.py::test_ends (call)"


def test_of_tests_beside_each_other_too(told: Told) -> None:
    pytest.importorskip("xdist")
    code, *lines = told("dies beside another")
    assert code == "0"
    assert any("STARTED ONCE MORE" in line for line in lines)
    assert lines[-1] == "CI: hung or died in: tests/test_made_up.py::test_ends (call)"


def test_what_hangs_twice_and_what_failed_before_are_the_last_lines(told: Told) -> None:
    code, *lines = told("fails, then hangs")
    assert code != "0"
    hung = "CI: hung or died in: tests/test_made_up.py::test_hangs (teardown)"
    assert lines[-3:] == ["CI: failed: tests/test_made_up.py::test_fails", hung, hung]
    assert any("hang" in line and "test_made_up.py" in line for line in lines), "the stack"


def test_what_passed_only_when_tried_again_is_named(told: Told) -> None:
    code, *lines = told("fails once")
    assert code == "0"
    assert lines[-1] == "CI: passed only when tried again: tests/test_made_up.py::test_ends"


def test_a_failure_before_the_end_stays_one(told: Told) -> None:
    code, *lines = told("fails, then dies once")
    assert code == "1"
    assert "CI: failed: tests/test_made_up.py::test_fails" in lines


def test_a_thread_of_a_loop_that_does_not_end_fails_its_test_alone(told: Told) -> None:
    """asyncio would wait for it in the teardown, when pytest-timeout's alarm has gone off already."""
    code, *lines = told("leaves a thread")
    assert code != "0"
    assert any("1 failed, 2 passed, 1 error" in line for line in lines)
    assert any("its threads are not: asyncio_0" in line for line in lines)
    assert lines[-1] == "CI: failed: tests/test_made_up.py::test_waits"


def test_a_teardown_has_time_of_its_own(told: Told) -> None:
    code, *lines = told("waits in its teardown")
    assert code != "0"
    assert any("1 failed, 2 passed, 1 error" in line for line in lines)
