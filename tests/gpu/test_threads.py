"""The kernel knows a thread by its name."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpu import threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names are told to Linux")


def comm(native_id: int | None) -> str:
    return Path(f"/proc/self/task/{native_id}/comm").read_text().rstrip("\n")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("relens-watchdog", "watchdog"),
        ("aac-to-opus", "aac-to-opus"),
        ("relens-longer-than-that", "longer-than-tha"),
    ],
)
def test_a_thread_is_started_under_its_name(name: str, shown: str) -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait, args=(30,), name=name)
    threads.start(thread)
    assert comm(thread.native_id) == shown
    over.set()
    thread.join(30)


def test_one_that_is_over_at_once_is_no_failure() -> None:
    for _ in range(50):
        thread = threading.Thread(target=lambda: None)
        threads.start(thread)
        thread.join(30)


def test_an_executor_names_its_own() -> None:
    before = comm(threading.main_thread().native_id)
    with ThreadPoolExecutor(1, thread_name_prefix="relens-kept", initializer=threads.name_this) as executor:
        assert executor.submit(lambda: comm(threading.get_native_id())).result(30) == "kept_0"
    assert comm(threading.main_thread().native_id) == before


def test_threads_of_a_library_are_named_by_who_has_it_make_them() -> None:
    """A thread begins with its maker's name, and a library leaves it at that."""
    made: list[str] = []

    def make() -> None:
        with threads.made_as("openvino"):
            thread = threading.Thread(target=lambda: made.append(comm(threading.get_native_id())))
            thread.start()
            thread.join(30)
        made.append(comm(threading.get_native_id()))

    maker = threading.Thread(target=make, name="relens-compile")
    threads.start(maker)
    maker.join(30)
    assert made == ["openvino", "compile"]
