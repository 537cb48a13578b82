"""An engine from an ONNX graph, built in a child process: with progress, a way to stop, and a time limit.

The child holds the library, the parsed weights and whatever the library leaves behind; when it ends, well or
by a crash, all of that goes with it and the server goes on. The child's side is build_child.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

from gpu.errors import DeviceError, ModelError, NoMemory, RelensError
from gpu.wan.bindings import Binding
from gpu.wan.engines.trt_library import LibraryName, check_architectures

__all__ = ["BuildPlan", "Built", "Cancelled", "build_engine", "part_of"]

Decompose = Literal["never", "needed", "always"]
Told = Callable[[float, str], None]  # share done 0..1, and what is being done
TIMEOUT_S = 3600.0  # TensorRT times every kernel it might use; an hour is far beyond what is known of 1.3 B
WORKSPACE_BYTES = 4 << 30  # scratch a kernel may ask for while an engine runs

_ROOT = Path(__file__).resolve().parents[3]
_POLL_S = 0.1  # how soon a cancelled build is noticed
_END_S = 5.0  # for a child that was asked to stop, before it is killed
_MOST_LINE = 1 << 20  # bytes of one message of the child
_MOST_TEXT = 4000  # of the child's standard error, from its end
_KINDS: dict[str, type[RelensError]] = {"ModelError": ModelError, "NoMemory": NoMemory}


class Cancelled(DeviceError):
    """The build was stopped by the one who asked for it; nothing was kept."""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What to build from what, and how."""

    graph: Path  # ONNX, its weights beside it
    library: LibraryName
    architectures: tuple[str, ...] = ()  # TensorRT-RTX: ("sm89", "sm120"); (): this machine's GPU
    in_place: tuple[str, ...] = ()  # inputs that the graph must write in place: the ring
    workspace_bytes: int = WORKSPACE_BYTES
    level: int | None = None  # builder_optimization_level 0..5; None: the library's own
    # Attention without a fused kernel (fp32, odd sizes) is taken apart, which writes the table of scores to
    # memory. "needed": only where the library refuses it whole.
    decompose: Decompose = "needed"
    timing_cache: Path | None = None  # TensorRT: times of kernels, kept from build to build; RTX has none

    def flags(self) -> tuple[str, ...]:
        """Words for an EngineKey: all of this that decides what comes out."""
        level = "own" if self.level is None else str(self.level)
        return (f"workspace={self.workspace_bytes}", f"level={level}", f"decompose={self.decompose}")


@dataclass(frozen=True, slots=True)
class Built:
    """What a build gave and took."""

    engine_bytes: int
    nodes: int  # of the ONNX graph
    layers: int  # of the library's network after parsing
    parse_s: float
    build_s: float
    peak_rss_bytes: int  # of the child process
    in_place: dict[str, str]  # output: the input whose memory it writes
    decomposed: bool  # whether some attention was taken apart
    version: str  # of the library


def in_place_of(tensors: tuple[Binding, ...]) -> tuple[str, ...]:
    """Of a pass's tensors, those the graph itself must write in place: keys and values of the ring."""
    return tuple(each.name for each in tensors if each.role == "ring" and each.name.startswith("ring_"))


def part_of(told: Told | None, begin: float, end: float, cancelled: threading.Event | None = None) -> Told:
    """A progress for what takes a longer one from `begin` to `end`. Once `cancelled` is set it raises
    Cancelled, out of whatever reports to it."""

    def progress(share: float, what: str) -> None:
        if cancelled is not None and cancelled.is_set():
            raise Cancelled(f"{what} was cancelled")
        if told is not None:
            told(begin + share * (end - begin), what)

    return progress


def build_engine(
    plan: BuildPlan,
    target: Path,
    told: Told | None = None,
    cancelled: threading.Event | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Built:
    """Build `plan` into the file `target`. Blocks: call it from a thread.

    Raises ModelError where the library cannot take the graph (it names node and operator), Cancelled once
    `cancelled` is set, NoMemory where the machine had not enough, DeviceError where the library is missing or
    its process died or took more than `timeout_s`. Without success there is no `target`."""
    check_architectures(plan.library, plan.architectures)
    part = target.with_name(f"{target.name}.building")
    order = {
        **asdict(plan),
        "graph": str(plan.graph.resolve()),
        "timing_cache": str(plan.timing_cache.resolve()) if plan.timing_cache else None,
        "target": str(part.resolve()),
    }
    done = False
    try:
        with tempfile.TemporaryFile() as errors, _child(errors) as child:
            built = _follow(child, errors, order, told, cancelled, time.monotonic() + timeout_s)
        part.replace(target)
        done = True
        return built
    except OSError as exc:
        raise DeviceError(f"an engine could not be written to {target} ({exc}): check the disk") from exc
    finally:
        if not done:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _child(errors: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is gone when the block ends. Its standard input stays open as long as it is wanted."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
    # -P: a file in the working directory must not stand for a library.
    command = [sys.executable, "-P", "-m", "gpu.wan.engines.build_child"]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            # without the dump of faulthandler, the last line of standard error is what the library said
            env={**os.environ, "PYTHONPATH": path, "PYTHONFAULTHANDLER": ""},
        )
    except OSError as exc:
        raise DeviceError(f"no process could be started to build an engine: {exc.strerror or exc}") from exc
    try:
        yield child
    finally:
        with contextlib.suppress(OSError):  # the end of its input asks the child to stop
            assert child.stdin is not None
            child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_S)
        if child.poll() is None:
            child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_END_S)
        assert child.stdout is not None
        child.stdout.close()


def _follow(
    child: subprocess.Popen[bytes],
    errors: IO[bytes],
    order: dict[str, Any],
    told: Told | None,
    cancelled: threading.Event | None,
    deadline: float,
) -> Built:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died at once: what it says or how it ended comes below
        child.stdin.write(json.dumps(order).encode() + b"\n")
        child.stdin.flush()
    furthest = 0.0
    for said in _messages(child, cancelled, deadline, order["graph"]):
        if "share" in said:
            furthest = max(furthest, said["share"])  # a second try starts anew; a bar does not go back
            if told is not None:
                told(furthest, said["what"])
        if "error" in said:
            raise _KINDS.get(said["error"], DeviceError)(said["message"])
        if "built" in said:
            return Built(**said["built"])
    try:
        code = child.wait(_END_S)
    except subprocess.TimeoutExpired:
        code = 0  # it closed its output and lives on; it is killed
    if code == -signal.SIGKILL:
        raise NoMemory(
            f"building an engine of {order['graph']} was killed, most likely for want of memory: free some, "
            "or build it on a machine with more"
        )
    raise DeviceError(f"building an engine of {order['graph']} ended {_how(code)}{_tail(errors)}")


def _messages(
    child: subprocess.Popen[bytes], cancelled: threading.Event | None, deadline: float, graph: str
) -> Iterator[dict[str, Any]]:
    assert child.stdout is not None
    pipe = child.stdout.fileno()
    held = b""
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while True:
            if cancelled is not None and cancelled.is_set():
                raise Cancelled(f"building an engine of {graph} was cancelled")
            if time.monotonic() >= deadline:
                raise DeviceError(
                    f"building an engine of {graph} took too long and was ended: allow more time, or choose "
                    "a lower optimisation level"
                )
            if not ready.select(_POLL_S):
                continue
            read = os.read(pipe, 65536)
            if not read:
                return
            held += read
            *lines, held = held.split(b"\n")
            if len(held) > _MOST_LINE:
                return
            for line in lines:
                with contextlib.suppress(ValueError):  # not ours: a library that found the pipe
                    said = json.loads(line)
                    if isinstance(said, dict):
                        yield said


def _how(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-code).name}"
    return f"with code {code} and no answer"


def _tail(errors: IO[bytes]) -> str:
    """The last line of what the child complained of."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _MOST_TEXT))
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f" ({lines[-1].strip()[:300]})" if lines else ""
