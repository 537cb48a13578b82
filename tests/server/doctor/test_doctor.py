"""`relens doctor` as people call it, on a machine without a GPU and with the fake drivers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpu.cuda import libraries, probe
from gpu.cuda.report import GpuMachine, Part
from server import doctor
from server.__main__ import main
from server.config import Config
from tests.gpu.cuda.fake import FakeDriver

QUICK = ("driver", "kernels", "decode", "encode", "sessions")  # no large Python library is imported


@pytest.fixture(autouse=True)
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models have tests of their own."""
    monkeypatch.setattr(doctor, "MODEL_NAMES", ("passthrough",))


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """For a machine on which all that is needed is there."""
    (tmp_path / "index.html").write_text("x", encoding="utf-8")
    return ["--model", "passthrough", "--port", "0", "--web-dir", str(tmp_path), "--codecs", "h264,vp8"]


def on_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe in full but for the Python libraries."""
    whole = probe.probe
    monkeypatch.setattr(probe, "probe", lambda: whole(QUICK))


def found(capsys: pytest.CaptureFixture[str], flags: list[str], code: int = 0) -> dict[str, Any]:
    assert main(["doctor", "--json", *flags]) == code
    return {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}


def test_the_codecs_and_the_model_are_tried(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flags: list[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(probe, "probe", lambda: GpuMachine(problem="none", parts=(Part("OpenVINO", "1"),)))
    findings = found(capsys, flags)
    for name in ("Python", "codec h264", "codec vp8", "model passthrough", "port 0", "page", "OpenVINO"):
        assert findings[name]["ok"], findings[name]
    assert "6 of 6" in findings["codec vp8"]["detail"]
    assert main(["doctor", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(findings)
    assert any(line.startswith("absent  NVIDIA driver") for line in lines)
    (tmp_path / "index.html").unlink()
    assert "make setup" in found(capsys, flags, 1)["page"]["remedy"]


def test_what_serve_would_refuse_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probe, "probe", lambda: GpuMachine(problem="none"))
    not_pem = tmp_path / "cert.pem"
    not_pem.write_text("no certificate")
    config = Config(model="nope", host="192.0.2.1", tls_cert=str(not_pem), tls_key=str(not_pem))
    bad = {finding.name: finding for finding in doctor.examine(config) if not finding.ok}
    assert bad["model nope"].needed
    assert "tls_cert" in bad["TLS"].detail
    assert "--host" in bad[f"port {config.port}"].remedy


@pytest.mark.slow
def test_this_machine_as_it_is(capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    """The real probe with every library that is installed here."""
    findings = found(capsys, flags)
    assert findings["OpenVINO"]["ok"], findings["OpenVINO"]
    assert findings["ONNX Runtime"]["ok"], findings["ONNX Runtime"]
    for name in ("CuPy", "torch", "TensorRT", "TensorRT-RTX", "NVIDIA driver", "ICE candidates"):
        assert findings[name]["ok"] or findings[name]["remedy"]


def test_a_gpu_with_both_engines(
    fake_gpu: FakeDriver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
) -> None:
    on_fake(monkeypatch)
    monkeypatch.setenv("FAKE_CUDA_NAME", "NVIDIA L4")
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "h264,hevc")
    monkeypatch.setenv("FAKE_NVENC_CODECS", "h264,av1")
    monkeypatch.setenv("FAKE_NVENC_SESSIONS", "99")
    findings = found(capsys, flags)
    for name in ("NVIDIA driver", "GPU 0", "GPU 0 NVDEC", "GPU 0 NVENC"):
        assert findings[name]["ok"], findings[name]
    assert [caps["codec"] for caps in findings["GPU 0"]["facts"]["decodes"]] == ["h264", "hevc"]
    assert [caps["codec"] for caps in findings["GPU 0"]["facts"]["encodes"]] == ["h264", "av1"]
    assert "sessions: at least 32 at once" in findings["GPU 0 NVENC"]["detail"]
    assert findings["path on a GPU, h264"]["detail"].startswith(
        "decode NVDEC, edit CUDA on the NVIDIA L4, encode NVENC"
    )
    assert "no vp8" in findings["path on a GPU, vp8"]["detail"]


def test_a_gpu_without_nvenc(
    fake_gpu: FakeDriver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
) -> None:
    on_fake(monkeypatch)
    monkeypatch.setenv("FAKE_CUDA_NAME", "NVIDIA H200")
    monkeypatch.setenv("FAKE_CUDA_CC", "9.0")
    monkeypatch.setenv("FAKE_NVENC_CODECS", "none")
    findings = found(capsys, flags)
    assert not findings["GPU 0 NVENC"]["ok"]
    assert "libx264" in findings["GPU 0 NVENC"]["remedy"]
    way = findings["path on a GPU, h264"]["detail"]
    assert way.startswith("decode NVDEC, edit CUDA on the NVIDIA H200, encode libx264 on the CPU")
    assert "NVENC" in way.split("because")[1]


def test_the_session_limit(
    fake_gpu: FakeDriver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
) -> None:
    on_fake(monkeypatch)
    monkeypatch.setenv("FAKE_NVENC_SESSIONS", "3")
    findings = found(capsys, [*flags, "--max-sessions", "3"])
    assert findings["GPU 0 NVENC"]["ok"]
    assert "sessions: 3 at once" in findings["GPU 0 NVENC"]["detail"]
    findings = found(capsys, [*flags, "--max-sessions", "4"])
    assert not findings["GPU 0 NVENC"]["ok"]
    assert "fewer than max_sessions = 4" in findings["GPU 0 NVENC"]["detail"]


def test_other_programs_hold_every_session(
    fake_gpu: FakeDriver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
) -> None:
    on_fake(monkeypatch)
    monkeypatch.setenv("FAKE_NVENC_SESSIONS", "0")
    findings = found(capsys, flags)
    assert not findings["GPU 0 NVENC"]["ok"]
    assert "end other programs that encode" in findings["GPU 0 NVENC"]["detail"]
    assert "libx264 on the CPU, one copy from the GPU" in findings["path on a GPU, h264"]["detail"]


def test_video_libraries_that_are_missing(
    bare_driver: FakeDriver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
) -> None:
    """A container without the capability `video` has libcuda alone."""
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a driver of its own")
    on_fake(monkeypatch)
    findings = found(capsys, flags)
    assert findings["GPU 0"]["ok"]
    for name in ("GPU 0 NVDEC", "GPU 0 NVENC"):
        assert not findings[name]["ok"]
        assert "NVIDIA_DRIVER_CAPABILITIES=compute,video,utility" in findings[name]["detail"]
    assert "on the CPU, one copy to the GPU" in findings["path on a GPU, h264"]["detail"]


def test_no_gpu_behind_the_driver(
    fake_gpu: FakeDriver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
) -> None:
    on_fake(monkeypatch)
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    findings = found(capsys, flags)
    assert findings["NVIDIA driver"]["ok"]
    assert "--gpus all" in findings["GPU"]["detail"]
    assert not findings["path on a GPU"]["ok"]


def test_a_driver_that_crashes(
    fake_gpu: FakeDriver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
) -> None:
    on_fake(monkeypatch)
    monkeypatch.setenv("FAKE_CUDA_CRASH", "segv")
    findings = found(capsys, flags)
    assert "ended the process by SIGSEGV" in findings["NVIDIA driver"]["detail"]
    assert findings["codec h264"]["ok"]


def test_a_driver_library_that_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flags: list[str], tmp_path: Path
) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a driver of its own")
    on_fake(monkeypatch)
    (tmp_path / "libcuda.so.1").write_bytes(b"no library")
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    findings = found(capsys, flags)
    assert "cannot be opened" in findings["NVIDIA driver"]["detail"]
    assert not findings["NVIDIA driver"]["needed"]


def test_weights_of_large_models_are_told_of_and_never_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flags: list[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(probe, "probe", lambda: GpuMachine(problem="none", parts=(Part("OpenVINO", "1"),)))
    finding = found(capsys, [*flags, "--models-dir", str(tmp_path)])["weights liveedit-1.3b"]
    assert not finding["ok"]
    assert not finding["needed"]
    assert finding["facts"]["state"] == "not downloaded"
    assert finding["remedy"] == "relens models download liveedit-1.3b"
