"""No test, and nothing that one starts, gets ahead of the whole machine."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from typing import Any

import av
import pytest


def _policy_after_av1() -> int:
    """SVT-AV1 is what tried it."""
    context: Any = av.CodecContext.create("libsvtav1", "w")
    context.width, context.height, context.pix_fmt = 128, 128, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.options = {"preset": "12"}
    context.open()
    return os.sched_getscheduler(0)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody takes the right")
def test_an_encoder_cannot_make_the_tests_real_time() -> None:
    assert _policy_after_av1() == os.SCHED_OTHER
    code = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "PermissionError" in done.stderr
