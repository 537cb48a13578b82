"""The driver layer against a fake libcuda: devices, contexts, faults, and that nothing is left behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from gpu.cuda import driver, driver_errors, libraries
from gpu.cuda.driver import CudaError, Device, DeviceLost
from gpu.errors import DeviceError
from tests.gpu.cuda.build import build_source
from tests.gpu.cuda.fake import FakeDriver

ELF = b"\x7fELF" + bytes(60)


def test_a_device_says_what_it_is(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_NAME", "NVIDIA L4")
    monkeypatch.setenv("FAKE_CUDA_CC", "12.0")
    monkeypatch.setenv("FAKE_CUDA_MEMORY", "1000000")
    monkeypatch.setenv("FAKE_CUDA_VERSION", "13020")
    assert driver.driver_version() == (13, 2)
    device = Device.open()
    memory = device.alloc(1000)
    assert device.memory() == (999_000, 1_000_000)
    assert device.info.name == "NVIDIA L4"
    assert device.info.compute_capability == (12, 0)
    assert device.info.total_bytes == 1_000_000
    assert device.info.uuid == "GPU-00102030-4050-6070-8090-a0b0c0d0e0f0"
    memory.close()
    device.close()


def test_every_device_is_listed_and_let_go(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "2")
    assert [info.index for info in driver.devices()] == [0, 1]
    assert bare_driver.count("contexts") == 0


def test_no_device(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    assert driver.devices() == []
    with pytest.raises(CudaError, match=r"cuInit: CUDA_ERROR_NO_DEVICE \(100\): .*--gpus all") as caught:
        Device.open()
    assert (caught.value.call, caught.value.code, caught.value.name) == (
        "cuInit",
        100,
        "CUDA_ERROR_NO_DEVICE",
    )


def test_a_device_that_is_not_there(bare_driver: FakeDriver) -> None:
    with pytest.raises(CudaError, match=r"CUDA_ERROR_INVALID_DEVICE.*nvidia-smi -L"):
        Device.open(3)


def test_a_driver_that_does_not_start(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuInit:803")
    with pytest.raises(DeviceError, match=r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH.*reboot"):
        driver.devices()


def test_a_context_whose_device_does_not_answer_is_released(
    bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuMemGetInfo_v2:2")
    with pytest.raises(CudaError):
        Device.open()
    assert bare_driver.count("contexts") == 0


def test_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(libraries, "_soname", lambda name: f"libabsent-{name}.so.1")
    libraries.forget()
    for name in ("cuda", "nvcuvid", "nvidia-encode"):
        with pytest.raises(DeviceError, match="NVIDIA_DRIVER_CAPABILITIES=compute,video,utility"):
            libraries.open_library(name)
    with pytest.raises(DeviceError, match="install NVIDIA's driver"):
        driver.devices()
    libraries.forget()


def test_a_library_of_another_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_source("int cuInit(unsigned flags) { return (int)flags; }\n", tmp_path / "libcuda.so.1")
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    libraries.forget()
    with pytest.raises(DeviceError, match=r"the driver has no .*: update it"):
        driver.driver_version()
    libraries.forget()


def test_nothing_is_opened_by_importing() -> None:
    code = (
        "import ctypes\n"
        "def refuse(*_, **__): raise SystemExit('a library was opened')\n"
        "import numpy\n"
        "ctypes.CDLL = refuse\n"
        "import gpu.cuda.driver, gpu.cuda.arrays, gpu.cuda.module, gpu.cuda.libraries\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_out_of_memory_says_what_helps(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_MEMORY", "4096")
    device = Device.open()
    first = device.alloc(4000)
    with pytest.raises(
        CudaError, match=r"cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY \(2\): .*max_sessions"
    ) as caught:
        device.alloc(97)
    assert not isinstance(caught.value, DeviceLost)
    first.close()
    device.alloc(97).close()  # the call alone failed
    device.close()


def test_memory_is_freed_when_collected_and_once(bare_driver: FakeDriver) -> None:
    device = Device.open()
    memory = device.alloc(100)
    array = device.array((3, 4), np.float32)
    view = array[1:]
    del array
    gc.collect()
    assert bare_driver.count("memory") == 2, "the view keeps its memory"
    del view
    assert bare_driver.count("memory") == 1
    memory.close()
    memory.close()
    assert memory.ptr == 0
    assert len(bare_driver.called("cuMemFree_v2")) == 2
    device.close()


def test_closing_a_device_gives_all_back(bare_driver: FakeDriver) -> None:
    device = Device.open()
    stream, event, module = device.stream(), device.event(), device.load(ELF)
    kept = [device.array((16,), np.uint8), device.pinned((16,), np.uint8), stream, event, module]
    with stream.capture() as capture:
        module.function("fake_add")
    kept.append(capture.graph)
    device.close()
    device.close()
    assert bare_driver.leaks() == {}
    with pytest.raises(DeviceError, match="GPU 0 is closed"):
        device.alloc(1)
    with pytest.raises(DeviceError, match="is closed"):
        stream.query()


def test_a_device_that_ends_in_a_cycle_takes_all_along(bare_driver: FakeDriver) -> None:
    """The collector may finalise the device before what was made on it."""
    for _ in range(3):
        device = Device.open()
        cycle: list[object] = [device.stream(), device, device.alloc(8), device.event()]
        cycle.append(cycle)
        del cycle, device
        gc.collect()
    assert "contexts" not in bare_driver.leaks()
    bare_driver.forgive()  # what a released context held is gone with it; the fake counts it on


def test_two_openings_share_one_context(bare_driver: FakeDriver) -> None:
    first, second = Device.open(), Device.open()
    assert first.context == second.context
    memory = second.alloc(8)
    first.close()
    assert second.memory()[1] > 0
    memory.close()
    second.close()


def test_contexts_are_pushed_and_popped_in_pairs(bare_driver: FakeDriver) -> None:
    device = Device.open()
    with device.current(), device.current():
        assert bare_driver.count("depth") == 1, "nested use is free"
        device.alloc(1).close()
        assert bare_driver.count("depth") == 1
    assert bare_driver.count("depth") == 0
    with pytest.raises(ZeroDivisionError), device.current():
        _ = 1 // 0
    assert bare_driver.count("depth") == 0
    device.close()


def test_two_threads_use_one_device(bare_driver: FakeDriver) -> None:
    device = Device.open()
    function = device.load(ELF).function("fake_add")
    wrong: list[object] = []

    def work(seed: int) -> None:
        import ctypes

        try:
            stream = device.stream()
            for i in range(50):
                array = device.array((257,), np.uint8)
                source = np.full(257, seed, np.uint8)
                array.upload(source, stream)
                args = [ctypes.c_uint64(array.ptr), ctypes.c_uint(257), ctypes.c_int(i)]
                function.launch(stream, (1, 1, 1), (32, 1, 1), args)
                if not (array.download(stream) == (seed + i) % 256).all():
                    wrong.append((seed, i))
            if bare_driver.count("depth"):
                wrong.append("a context was left on this thread")
        except DeviceError as error:
            wrong.append(error)

    threads = [
        threading.Thread(target=work, args=(seed,), name=f"relens-test-{seed}") for seed in (3, 100, 200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert device.traffic() == driver.Traffic(3 * 50 * 257, 3 * 50 * 257)
    device.close()


def test_a_lost_device_is_told_from_other_errors(
    bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device.open()
    stream, array = device.stream(), device.array((64,), np.uint8)
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "2")
    stream.fill(array, 1)
    stream.fill(array, 2)
    with pytest.raises(
        DeviceLost, match=r"CUDA_ERROR_ILLEGAL_ADDRESS \(700\): the GPU is lost .*restart the server"
    ):
        stream.fill(array, 3)
    for call in (stream.query, stream.synchronize, device.memory, lambda: device.alloc(1)):
        with pytest.raises(DeviceLost):
            call()
    array.base.close()  # type: ignore[union-attr]
    device.close()  # closing is quiet
    bare_driver.reset()
    bare_driver.forgive()


def test_every_code_has_a_remedy() -> None:
    for code in (*driver_errors.LOST_CODES, 1, 2, 3, 34, 100, 101, 200, 209, 222, 400, 803, 804):
        error = driver_errors.error_of("cuInit", code, "NAME")
        assert isinstance(error, DeviceLost) == (code in driver_errors.LOST_CODES)
        assert str(error).startswith(f"cuInit: NAME ({code}): ")
        assert len(driver_errors.remedy_of(code)) > 20


def test_a_code_the_driver_has_no_name_for(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuInit:12345")
    with pytest.raises(CudaError, match=r"CUDA_ERROR_UNNAMED \(12345\)"):
        Device.open()
