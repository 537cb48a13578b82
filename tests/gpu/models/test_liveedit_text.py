"""Embeddings beside the stream: nobody waits who need not, nothing is encoded twice, failures are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from streams import wait_until

from gpu.errors import DeviceError, ModelError
from gpu.models.liveedit_text import KEPT, Embeddings


class Encoder:
    """Gives the prompt's length, once `go_on` is set."""

    def __init__(self, on_encode: Callable[[str], None] = lambda prompt: None) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self._on_encode = on_encode

    def encode(self, prompt: str) -> int:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append(prompt)
        assert self.go_on.wait(20)
        self.at_once -= 1
        self._on_encode(prompt)
        return len(prompt)


@pytest.fixture
def encoder() -> Iterator[Encoder]:
    made = Encoder()
    yield made
    made.go_on.set()


def test_who_asks_does_not_wait_and_is_told_when_it_is_there(encoder: Encoder) -> None:
    encoder.go_on.clear()
    embeddings = Embeddings(encoder)
    assert not embeddings.ready("red")
    assert not embeddings.ready("red", 0.01)
    encoder.go_on.set()
    wait_until(lambda: embeddings.ready("red"))
    assert embeddings.get("red") == 3
    assert encoder.asked == ["red"]


def test_one_at_a_time_and_each_once(encoder: Encoder) -> None:
    embeddings = Embeddings(encoder)
    prompts = [str(n) * n for n in range(1, 9)] * 2
    assert [embeddings.get(prompt) for prompt in prompts] == [*range(1, 9)] * 2
    assert encoder.asked == prompts[:8]
    assert encoder.most_at_once == 1


def test_of_a_burst_the_last_comes_first_on_one_thread(encoder: Encoder) -> None:
    encoder.go_on.clear()
    embeddings = Embeddings(encoder)
    embeddings.ready("")
    wait_until(lambda: bool(encoder.asked))
    prompts = ["x" * n for n in range(1, 4 * KEPT)]
    for prompt in prompts:
        embeddings.ready(prompt)
    wait_until(lambda: [thread.name for thread in threading.enumerate()].count("relens-text") == 1)
    embeddings.ready(prompts[-3])  # a stream asks at each of its steps
    encoder.go_on.set()
    wait_until(lambda: len(encoder.asked) >= 3)
    assert encoder.asked[1:3] == [prompts[-3], prompts[-1]]
    assert embeddings.get(prompts[-KEPT]) == len(prompts[-KEPT])
    assert len(encoder.asked) <= KEPT + 1, "those that were typed over long ago are left out"


def test_who_waits_is_not_passed_over_by_those_who_ask_without_end(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.models.liveedit_text._ASK_AGAIN_S", 0.01)
    encoder.go_on.clear()
    embeddings = Embeddings(encoder)
    embeddings.ready("being encoded")
    wait_until(lambda: bool(encoder.asked))
    got: list[int] = []
    waiting = threading.Thread(target=lambda: got.append(embeddings.get("a film's")), daemon=True)
    waiting.start()
    for n in range(2 * KEPT):  # it is pushed out meanwhile
        embeddings.ready("x" * n)
    encoder.go_on.set()
    waiting.join(20)
    assert got == [len("a film's")]


def test_the_oldest_goes(encoder: Encoder) -> None:
    embeddings = Embeddings(encoder)
    for n in range(KEPT + 1):
        embeddings.get("x" * n)
    embeddings.get("x" * KEPT)
    assert len(encoder.asked) == KEPT + 1
    embeddings.get("")
    assert len(encoder.asked) == KEPT + 2


@pytest.mark.parametrize(
    "error",
    [DeviceError("no memory for it"), ValueError("no memory for it"), TimeoutError("no memory for it")],
)
def test_a_failure_is_told_and_may_be_tried_again(error: Exception) -> None:
    def fails(prompt: str) -> None:
        if len(encoder.asked) == 1:
            raise error

    encoder = Encoder(fails)
    embeddings = Embeddings(encoder)
    assert embeddings.ready("red", 20), "there is nothing to wait for"
    with pytest.raises(ModelError, match="no memory for it"):
        embeddings.get("red")
    assert embeddings.get("red") == 3


def test_a_wait_ends(encoder: Encoder) -> None:
    encoder.go_on.clear()
    embeddings = Embeddings(encoder)
    with pytest.raises(ModelError, match="send it again"):
        embeddings.get("red", 0.05)
    encoder.go_on.set()
    assert embeddings.get("red") == 3, "it went on meanwhile"


def test_closed_it_takes_nothing(encoder: Encoder) -> None:
    embeddings = Embeddings(encoder)
    embeddings.close()
    embeddings.close()
    with pytest.raises(ModelError, match="closed"):
        embeddings.ready("red")
