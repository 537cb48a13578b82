"""What holds for every test: those that race real time or drive a browser get a second try, on CI only."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import pytest

SECOND_TRY = ("browser", "realtime")

# What servers keep where a test says nothing else: never the home of whoever runs the tests.
_DATA = tempfile.mkdtemp(prefix="relens-tests-")
os.environ["XDG_DATA_HOME"] = _DATA
atexit.register(shutil.rmtree, _DATA, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CI's two cores are shared with what we cannot see; at a desk a failure is shown at once."""
    if not os.environ.get("CI"):
        return
    for item in items:
        if any(item.get_closest_marker(name) for name in SECOND_TRY):
            item.add_marker(pytest.mark.flaky(reruns=1))
