"""The probe asks in a child: whatever happens there, the parent lives, and says what it was."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu.cuda import libraries, probe
from gpu.cuda.probe_child import PARTS
from gpu.cuda.report import GpuReport, VideoCaps
from tests.gpu.cuda.fake import FakeDriver


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> None:
    """Modules of this code, in place of the libraries of these names."""
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_gpus_are_found(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "2")
    monkeypatch.setenv("FAKE_CUDA_NAME", "NVIDIA H200")
    monkeypatch.setenv("FAKE_CUDA_CC", "9.0")
    machine = probe.probe(("driver",))
    assert (machine.problem, machine.cuda) == ("", (13, 0))
    assert [(gpu.index, gpu.name, gpu.compute_capability) for gpu in machine.gpus] == [
        (0, "NVIDIA H200", (9, 0)),
        (1, "NVIDIA H200", (9, 0)),
    ]
    assert machine.gpus[0].total_bytes == 8 << 30
    assert json.loads(json.dumps(machine.as_json()))["gpus"][1]["index"] == 1
    assert bare_driver.log() == [], "the parent asked nothing itself"


def test_kernels_that_do_not_fit(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe.probe(("driver", "kernels")).gpus[0].kernel_problem == ""
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuModuleLoadData:209")
    problem = probe.probe(("driver", "kernels")).gpus[0].kernel_problem
    assert "CUDA_ERROR_NO_BINARY_FOR_GPU (209)" in problem
    assert "older than the kernels were built for" in problem


def test_no_gpu(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    machine = probe.probe(("driver",))
    assert machine.gpus == ()
    assert "the driver shows none" in machine.problem
    assert "--gpus all" in machine.problem


def test_a_gpu_that_cannot_be_opened(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuDevicePrimaryCtxRetain:46")
    machine = probe.probe(("driver", "decode"))
    assert (machine.gpus, machine.cuda) == ((), (13, 0))
    assert "(46)" in machine.problem
    assert "exclusive mode" in machine.problem


def test_a_driver_that_refuses(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuInit:803")
    machine = probe.probe(("driver",))
    assert machine.gpus == ()
    assert "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)" in machine.problem
    assert "reboot" in machine.problem


def test_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"this is no library")
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a driver of its own")
    machine = probe.probe(("driver", "decode", "encode"))
    assert "libcuda.so.1 cannot be opened" in machine.problem
    assert "install NVIDIA's driver" in machine.problem


@pytest.mark.parametrize(("how", "said"), [("segv", "by SIGSEGV"), ("exit", "with code 1")])
def test_a_driver_that_ends_the_process(
    bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, said: str
) -> None:
    stand_in(tmp_path, monkeypatch, torch="__version__ = '1'\nclass version: cuda = '13.0'\n")
    monkeypatch.setenv("FAKE_CUDA_CRASH", how)
    machine = probe.probe(("driver", "CuPy"))
    assert f"ended the process {said}" in machine.problem
    assert [part.name for part in machine.parts] == ["CuPy"], "what came after was asked all the same"


@pytest.mark.slow
def test_a_driver_that_hangs(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_HANG", "1")
    began = time.monotonic()
    machine = probe.probe(("driver", "decode", "OpenVINO"), timeout_s=60, quiet_s=4)
    assert time.monotonic() - began < 50
    assert "did not answer in time" in machine.problem
    assert machine.parts[0].version, "the question behind it was asked by another child"


def test_when_all_time_is_over_the_rest_is_not_asked(
    bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_HANG", "1")
    answers = probe.ask(("driver", "decode"), timeout_s=1.5, quiet_s=60)
    assert "did not answer in time" in answers["driver"]["error"]
    assert "not asked: 1.5 s were over" in answers["decode"]["error"]


def test_at_start_a_machine_without_a_driver_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "plausible", lambda: False)
    monkeypatch.setattr(probe.subprocess, "Popen", None)
    assert probe.at_start().problem == probe.NO_SIGN


def test_at_start_everything_but_sessions_is_asked(
    fake_gpu: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe.plausible()
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "h264,hevc")
    monkeypatch.setenv("FAKE_NVENC_CODECS", "av1")
    (gpu,) = probe.at_start().gpus
    assert gpu.words == "Fake GPU: decodes h264, hevc; encodes av1"
    assert (gpu.kernel_problem, gpu.sessions) == ("", None)


def test_libraries_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(
        tmp_path,
        monkeypatch,
        cupy="import os, signal\nprint('noise')\nos.kill(os.getpid(), signal.SIGSEGV)\n",
        torch="import sys, os\nprint('driver and library disagree', file=sys.stderr)\nos._exit(3)\n",
        tensorrt="raise RuntimeError('libnvinfer.so.11 is missing')\n",
        tensorrt_rtx_bindings="__version__ = '1.7.1'\n",
        onnxruntime="print('noise')\ndef get_available_providers(): return ['CUDA', 'CPU']\n",
    )
    parts = {part.name: part for part in probe.probe(tuple(PARTS)).parts}
    assert list(parts) == list(PARTS)
    assert "ended the process by SIGSEGV" in parts["CuPy"].problem
    assert "ended the process with code 3 (driver and library disagree)" in parts["torch"].problem
    assert parts["TensorRT"].problem == "RuntimeError: libnvinfer.so.11 is missing"
    # where the distribution is installed, its own version is the one that is said
    assert parts["TensorRT-RTX"].version.startswith("1.7.1")
    assert parts["TensorRT-RTX"].problem == ""
    assert parts["ONNX Runtime"].detail == "providers CUDA, CPU"
    assert parts["ONNX Runtime"].problem == ""


def test_a_library_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "CuPy", (("no_such_module",), str))
    from gpu.cuda.probe_child import ask_part

    assert ask_part("CuPy") == {"version": ""}


def test_unknown_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="no such question: weather"):
        probe.ask(("driver", "weather"))


def test_without_processes_the_parent_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    machine = probe.probe(("driver",))
    assert "no process could be started" in machine.problem


def test_the_command_prints_json(bare_driver: FakeDriver) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpu.cuda.probe", "driver"], capture_output=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["gpus"][0]["name"] == "Fake GPU"


def test_answers_become_a_report() -> None:
    gpu = {
        "index": 0, "name": "L4", "compute_capability": [8, 9], "total_bytes": 9, "free_bytes": 8,
        "uuid": "0",
    }  # fmt: skip
    caps = {"codec": "hevc", "bits": [8, 10], "max_width": 8192, "max_height": 8192}
    gpus = {"0": gpu, "1": {**gpu, "index": 1}, "2": {"problem": "held by another"}}
    machine = probe.machine_of(
        {
            "driver": {"driver": "580.65.06", "cuda": [13, 0], "gpus": gpus},
            "decode": {"0": {"decodes": [caps]}, "1": {"decode_problem": "lost"}},
            "encode": {"error": "the library is missing"},
            "kernels": {"0": {"kernel_problem": "too old"}, "1": {}},
            "sessions": {"0": {"sessions": 3, "sessions_end": "no more"}},
        }
    )
    first, second = machine.gpus
    assert machine.problem == "held by another"
    assert first == GpuReport(
        0, "L4", (8, 9), 9, 8, "0",
        decodes=(VideoCaps("hevc", (8, 10), 8192, 8192),), encode_problem="the library is missing",
        kernel_problem="too old", sessions=3, sessions_end="no more",
    )  # fmt: skip
    assert (second.decodes, second.decode_problem, second.sessions) == ((), "lost", None)
    assert first.decoder("hevc") == VideoCaps("hevc", (8, 10), 8192, 8192)
    assert first.decoder("h264") is None
    assert first.encoder("h264") is None
    assert first.decodes[0].words == "hevc 8/10 bit to 8192x8192"
