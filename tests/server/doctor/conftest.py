"""The fake drivers of the GPU path, for what the doctor says of them."""

from __future__ import annotations

from tests.gpu.cuda.conftest import (  # noqa: F401  # fixtures
    bare_driver,
    driver_folder,
    fake_driver,
    fake_gpu,
    gpu_folder,
    kernel_library,
)
