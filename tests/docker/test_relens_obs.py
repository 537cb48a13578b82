"""docker/obs/relens_obs.py in a made-up OBS, against a real server: typing, clicks and keys arrive."""

from __future__ import annotations

import ast
import json
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.fake_obspython import SCRIPT, Loaded, loaded
from tests.server.plain_server import plain_server

NIGHT = {"name": "Night", "prompt": "make it night", "strength": 0.5, "transitionMs": 0}
NOTHING = {"name": "Nothing", "prompt": "", "strength": 1.0, "transitionMs": 0}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with plain_server(tmp_path_factory.mktemp("obs"), "--rtmp-port", "0") as (base, _):
        ask(base, "PUT", "/settings", {"key": "key-of-obs", "presets": [NIGHT, NOTHING]})
        yield base


@pytest.fixture
def here(base: str) -> Iterator[Loaded]:
    with loaded(address=base, key="key-of-obs") as here:
        yield here


def ask(base: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{base}/streams/live{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.load(reply)


def asked(base: str) -> dict[str, Any]:
    """What the server was asked for last."""
    return ask(base, "GET", "/edit")["received"] or {}


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_what_is_typed_is_applied_and_what_it_was_taken_for_is_shown(here: Loaded, base: str) -> None:
    here.set(prompt="as a painting", strength=0.25)
    here.open()
    here.click("apply")
    until(lambda: asked(base).get("prompt") == "as a painting")
    assert asked(base)["strength"] == 0.25
    until(lambda: any("not understood" in line for line in here.tick()))  # passing through is all it can
    here.set(prompt=" ")
    here.click("apply")
    until(lambda: asked(base).get("prompt") == "")
    until(lambda: "no edit: taken as no edit" in here.tick())
    here.click("look")
    until(lambda: here.script.dress(here.shown) and "taken as" in here.shown["result"].text)


def test_presets_are_the_streams_own(here: Loaded, base: str) -> None:
    here.open()
    until(lambda: here.script.dress(here.shown) and here.shown["preset_1"].text == "1: Night")
    shown = [name for name, found in here.shown.items() if name.startswith("preset_") and found.visible]
    assert shown == ["preset_1", "preset_2"]
    assert "2 presets" in here.shown["reached"].text
    assert here.shown["dock"].text.endswith(f"{base}/dock/live")
    here.click("preset_1")
    until(lambda: asked(base).get("prompt") == "make it night")
    assert asked(base)["strength"] == 0.5


def test_hotkeys_are_kept_and_ask_for_presets_and_for_the_original(base: str) -> None:
    keys = [{"key": "OBS_KEY_F5"}]
    with loaded(address=base, key="key-of-obs", relens_preset_1=keys) as here:
        words = [words for _, words, _ in here.obs.hotkeys.values()]
        assert words == [f"relens: preset {n}" for n in range(1, 10)] + ["relens: no edit (original)"]
        here.press("relens_preset_1")
        until(lambda: asked(base).get("prompt") == "make it night")
        here.press("relens_original")
        until(lambda: asked(base).get("prompt") == "")
        here.press("relens_preset_9")
        until(lambda: any("no preset 9" in line for line in here.tick()))
        here.script.script_save(here.obs.settings)
        assert here.obs.settings["relens_preset_1"] == keys
        assert here.obs.held == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stream": "other"}, "there is no stream 'other'"),
        ({"address": "http://127.0.0.1:1"}, "Does it run there?"),
        ({"address": "http://127.0.0.1:port"}, "relens does not answer"),
        ({"address": "http://[::"}, "relens does not answer"),
        ({"address": ""}, "Fill in the address"),
        ({"address": "ftp://127.0.0.1"}, "Fill in the address"),
        ({"stream": " "}, "Fill in the address"),
        ({"key": "nö€"}, "copy it again"),
    ],
)
def test_trouble_is_said_in_words(here: Loaded, settings: dict[str, str], said: str) -> None:
    here.set(**settings)
    here.open()
    until(lambda: here.script.dress(here.shown) and said in here.shown["reached"].text)
    here.click("original")
    until(lambda: any(line.startswith("no edit: ") and said in line for line in here.tick()))


def test_an_address_needs_no_scheme(here: Loaded, base: str) -> None:
    here.set(address=base.removeprefix("http://") + "/")
    here.open()
    until(lambda: here.script.dress(here.shown) and "2 presets" in here.shown["reached"].text)


class Silent:
    """Takes connections and says nothing, or something that is no relens."""

    def __init__(self, answer: bytes = b"") -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.seen: list[socket.socket] = []
        self._answer = answer
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                came, _ = self._socket.accept()
            except OSError:
                return
            self.seen.append(came)
            if self._answer:
                came.recv(65536)
                came.sendall(self._answer)
                came.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)
        for came in self.seen:
            came.close()


def test_a_server_that_says_nothing_holds_nobody_up_and_the_newest_edit_wins(here: Loaded, base: str) -> None:
    silent = Silent()
    try:
        here.set(address=silent.url)
        here.press("relens_original")
        until(lambda: silent.seen)
        began_s = time.monotonic()
        for number in range(50):
            here.press(f"relens_preset_{number % 9 + 1}")
        assert time.monotonic() - began_s < 1
        here.set(address=base)
        here.press("relens_preset_1")
        until(lambda: asked(base).get("prompt") == "make it night")
        assert len(silent.seen) <= 2, "one that was under way, and the one that waited"
    finally:
        silent.close()


def test_unloading_does_not_wait_for_an_answer(base: str) -> None:
    silent = Silent()
    try:
        with loaded(address=silent.url) as here:
            until(lambda: silent.seen)
            thread = here.script.link._thread
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 2.5
        until(lambda: not thread.is_alive())
    finally:
        silent.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 400_000,
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 200 OK\r\n\r\n\xff",
    ],
    ids=["text", "list", "404", "endless", "ssh", "deep", "bytes"],
)
def test_what_is_no_relens_is_said_to_be_none(here: Loaded, answer: bytes) -> None:
    other = Silent(answer)
    try:
        here.set(address=other.url)
        here.open()
        wanted = ("is no relens", "does not answer")
        until(lambda: here.script.dress(here.shown) and any(w in here.shown["reached"].text for w in wanted))
    finally:
        other.close()


def test_an_answer_of_another_shape_ends_nothing(here: Loaded, base: str) -> None:
    body = b'{"presets": [1, {"name": 2}], "understood": true, "label": 3, "nearest": 4, "leftOut": 5}'
    other = Silent(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    try:
        here.set(address=other.url)
        here.open()
        here.click("original")
        until(lambda: "no edit: taken as 3" in here.tick())
        until(lambda: here.script.dress(here.shown) and here.shown["preset_1"].text == "1: 2")
        here.set(address=base)
        here.press("relens_preset_1")
        until(lambda: asked(base).get("prompt") == "make it night")
    finally:
        other.close()


def test_it_needs_the_standard_library_alone_and_no_new_python() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))
    named = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert named - {"obspython"} <= sys.stdlib_module_names
    assert Path(SCRIPT).stat().st_size < 20_000
