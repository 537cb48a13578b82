"""What holds for every test: those that race real time or drive a browser get a second try, on CI only."""

from __future__ import annotations

import os

import pytest

SECOND_TRY = ("browser", "realtime")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CI's two cores are shared with what we cannot see; at a desk a failure is shown at once."""
    if not os.environ.get("CI"):
        return
    for item in items:
        if any(item.get_closest_marker(name) for name in SECOND_TRY):
            item.add_marker(pytest.mark.flaky(reruns=1))
