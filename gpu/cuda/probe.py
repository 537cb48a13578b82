"""What the GPUs of this machine can do, found by asking them in a child process.

Drivers and the libraries on top of them may end or hang the process that loads them. Here that costs one
answer: the child is started again behind the question it died of. The parent opens no library of NVIDIA's.
`python -m gpu.cuda.probe` prints all of it as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from gpu.cuda import libraries
from gpu.cuda.driver_errors import NO_DEVICE, remedy_of
from gpu.cuda.probe_child import PARTS, QUESTIONS
from gpu.cuda.report import GpuMachine, GpuReport, Part, video_caps

AT_START = (
    "driver",
    "kernels",
    "decode",
    "encode",
)  # what a server must know: quick, and no session is opened
ALL = tuple(QUESTIONS)
TIMEOUT_S = 90.0  # of all questions
QUIET_S = 30.0  # of one: a cold import of torch takes up to 20 s on two busy cores

AT_START_S = 15.0
NO_SIGN = "there is no NVIDIA device on this machine"

_ROOT = Path(__file__).resolve().parents[2]
_MOST_TEXT = 4000  # of the child's standard error, from its end
_LOOK_S = 0.1
_REAP_S = 2.0  # a process that hangs inside the kernel does not even die

Answers = dict[str, dict[str, Any]]


def probe(
    questions: Iterable[str] = ALL, timeout_s: float = TIMEOUT_S, quiet_s: float = QUIET_S
) -> GpuMachine:
    """Ask, and never raise: what could not be asked says why in the report's `problem`s.

    Takes half a second without a GPU, longer where libraries are imported. Blocks: call it from a thread.
    """
    return machine_of(ask(tuple(questions), timeout_s, quiet_s))


def at_start() -> GpuMachine:
    """What a server asks before it takes streams: at most 15 s; nothing where no driver shows itself."""
    if not plausible():
        return GpuMachine(problem=NO_SIGN)
    return probe(AT_START, AT_START_S, AT_START_S)


def plausible() -> bool:
    """Whether asking is worth a process: a driver's devices are there, or its libraries were named."""
    signs = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")  # the last is WSL 2
    named = bool(os.environ.get(libraries.FOLDER_VARIABLE))
    return named or sys.platform == "win32" or any(os.path.exists(sign) for sign in signs)


def ask(questions: tuple[str, ...], timeout_s: float = TIMEOUT_S, quiet_s: float = QUIET_S) -> Answers:
    """Each question's answer, or {"error": why there is none}. Raises ValueError for an unknown question."""
    unknown = [question for question in questions if question not in QUESTIONS]
    if unknown:
        raise ValueError(f"no such question: {', '.join(unknown)}; there are {', '.join(QUESTIONS)}")
    answers: Answers = {}
    left, deadline = list(questions), time.monotonic() + timeout_s
    while left:
        budget_s = deadline - time.monotonic()
        if budget_s <= 0:
            answers |= {question: {"error": f"not asked: {timeout_s:g} s were over"} for question in left}
            break
        found, asking, end = _child(left, budget_s, quiet_s)
        answers |= found
        if asking is None and len(found) < len(left):  # it died before the first question, or between two
            asking = next(question for question in left if question not in found)
        if asking is not None:
            answers[asking] = {"error": end}
        left = [question for question in left if question not in answers]
    return answers


def _child(questions: list[str], timeout_s: float, quiet_s: float) -> tuple[Answers, str | None, str]:
    """(answers, the question it was at when it ended, how it ended)."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
    # -P: a file in the working directory must not stand for a library.
    command = [sys.executable, "-P", "-m", "gpu.cuda.probe_child", *questions]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            environ = {**os.environ, "PYTHONPATH": path}
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=environ
            )
        except OSError as error:
            return {}, None, f"no process could be started for it: {error.strerror or error}"
        try:
            end = _death(_wait(child, out, timeout_s, quiet_s), _tail(errors))
        except subprocess.TimeoutExpired:
            child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_REAP_S)
            end = "it did not answer in time: see nvidia-smi, and the kernel's log (dmesg) for Xid errors"
        out.seek(0)
        found, asking = _read(out.read())
    return found, asking, end


def _wait(child: subprocess.Popen[bytes], out: IO[bytes], timeout_s: float, quiet_s: float) -> int:
    """The exit code. Raises TimeoutExpired when all takes too long, or one answer does."""
    deadline, heard, size = time.monotonic() + timeout_s, time.monotonic(), 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(_LOOK_S)
        now, grown = time.monotonic(), os.fstat(out.fileno()).st_size
        if grown != size:
            heard, size = now, grown
        if now >= deadline or now - heard >= quiet_s:
            raise subprocess.TimeoutExpired(child.args, now - heard)


def _read(text: bytes) -> tuple[Answers, str | None]:
    answers: Answers = {}
    asking: str | None = None
    for line in text.splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # cut off in mid-line
            break
        asking = said.get("asking")
        if asking is None:
            answers[said["asked"]] = said["answer"]
    return answers, asking


def _death(code: int, errors: str) -> str:
    told, how = f" ({errors})" if errors else "", f"with code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = f"by {signal.Signals(-code).name}"
    return f"asking it ended the process {how}{told}: install it or the driver anew"


def _tail(errors: IO[bytes]) -> str:
    """The last line of what the child complained of."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _MOST_TEXT))
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""


def machine_of(answers: Answers) -> GpuMachine:
    """The report of a set of answers."""
    driver = answers.get("driver", {"error": "not asked"})
    problem = driver.get("error", "")
    gpus = tuple(
        GpuReport(**{**gpu, "compute_capability": tuple(gpu["compute_capability"])}, **_rest(index, answers))
        for index, gpu in driver.get("gpus", {}).items()
        if "problem" not in gpu
    )
    refused = [gpu["problem"] for gpu in driver.get("gpus", {}).values() if "problem" in gpu]
    problem = problem or "; ".join(dict.fromkeys(refused))
    if not gpus and not problem:
        problem = f"the driver shows none: {remedy_of(NO_DEVICE)}"
    return GpuMachine(
        driver=driver.get("driver", ""),
        cuda=tuple(driver["cuda"]) if "cuda" in driver else None,
        gpus=gpus,
        problem=problem,
        parts=tuple(_part(name, answers[name]) for name in PARTS if name in answers),
    )


def _rest(index: str, answers: Answers) -> dict[str, Any]:
    """The fields of a GpuReport that other questions than the driver's give."""
    fields: dict[str, Any] = {}
    for question, many, problem in (
        ("decode", "decodes", "decode_problem"),
        ("encode", "encodes", "encode_problem"),
        ("kernels", "", "kernel_problem"),
        ("sessions", "sessions", "sessions_end"),
    ):
        answer = answers.get(question, {})
        if "error" in answer:
            fields[problem] = answer["error"]
            continue
        own = answer.get(index, {})
        if problem in own:
            fields[problem] = own[problem]
        if many in own:
            value = own[many]
            fields[many] = tuple(map(video_caps, value)) if isinstance(value, list) else value
    return fields


def _part(name: str, answer: dict[str, Any]) -> Part:
    if "error" in answer:
        return Part(name, "unknown", problem=answer["error"])
    return Part(name, answer.get("version", ""), answer.get("detail", ""), answer.get("problem", ""))


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1:] or ALL).as_json(), indent=2))
