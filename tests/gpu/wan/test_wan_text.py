"""The text encoder as models use it: cached, one at a time, there or not between instructions."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

from gpu.errors import ModelError, NoMemory  # noqa: E402
from gpu.wan import text as text_module  # noqa: E402
from gpu.wan.config import WanConfig  # noqa: E402
from gpu.wan.text import TextEncoder, TextSettings  # noqa: E402
from gpu.wan.text_tokens import clean  # noqa: E402
from gpu.wan.text_umt5 import WAN_FILE, TextFiles, load_encoder  # noqa: E402
from tests.gpu.wan import toy_text  # noqa: E402
from tests.gpu.wan.toy_text import CONFIG, SENTENCES  # noqa: E402

FLOAT32 = TextSettings(dtype="float32")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TextFiles:
    return TextFiles.within(toy_text.as_wan(tmp_path_factory.mktemp("text") / "wan"), "toy")


class Counted:
    """Stands around `load_encoder`: how often weights were read, what was encoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads = 0
        self.calls: list[list[int]] = []
        self.begun, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        monkeypatch.setattr(text_module, "load_encoder", self._load)

    def _load(self, *given: Any) -> Any:
        self.loads += 1
        encoder = load_encoder(*given)
        encoder.register_forward_pre_hook(self._called)
        return encoder

    def _called(self, module: Any, given: tuple[torch.Tensor]) -> None:
        self.calls.append(given[0][0].tolist())
        self.begun.set()
        assert self.gate.wait(20)


def test_shape_type_and_zeros_behind_the_text(files: TextFiles) -> None:
    encoder = TextEncoder(files, CONFIG, FLOAT32)
    made = encoder.encode("turn the cat into a tiger")
    assert made.shape == (1, CONFIG.text_len, CONFIG.text_dim)
    assert made.dtype is torch.float32
    tokens = int(made[0].any(-1).sum())
    assert 1 < tokens < CONFIG.text_len
    assert not made[0, tokens:].any()
    assert not encoder.encode("")[0, 1:].any()
    assert encoder.name == "UMT5, float32, cpu"


def test_the_numbers_of_the_padded_and_masked_way(files: TextFiles) -> None:
    """Wan encodes all 512 places, masked, and zeroes the padding's rows."""
    ours = TextEncoder(files, CONFIG, FLOAT32).encode(SENTENCES[2])
    ids = text_module.Tokenizer(files.tokenizer, "toy").ids(clean(SENTENCES[2]), CONFIG.text_len)
    given = torch.zeros(1, CONFIG.text_len, dtype=torch.long)
    given[0, : len(ids)] = torch.tensor(ids)
    encoder = load_encoder(files.weights, "toy", torch.float32, "cpu")
    with torch.inference_mode():
        theirs = encoder(given, attention_mask=(given > 0).long()).last_hidden_state
        theirs[0, len(ids) :] = 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_hugging_faces_folder_gives_the_same(files: TextFiles, tmp_path: Path) -> None:
    other = TextFiles.within(toy_text.as_hugging_face(tmp_path / "hf"), "toy")
    for prompt in (*SENTENCES, "", "\u201cZ\u00fcrich\u201d &amp; 5\u00b0"):
        ours, theirs = (TextEncoder(each, CONFIG, FLOAT32).encode(prompt) for each in (files, other))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_near(files: TextFiles) -> None:
    near = TextEncoder(files, CONFIG, TextSettings(dtype="bfloat16")).encode(SENTENCES[1])
    exact = TextEncoder(files, CONFIG, FLOAT32).encode(SENTENCES[1])
    assert 0 < float((near - exact).norm() / exact.norm()) < 0.15  # random weights, attention unscaled


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("keep", ["gpu", "free"])
def test_on_a_gpu(keep: Any, files: TextFiles) -> None:
    before = torch.cuda.memory_allocated()
    encoder = TextEncoder(files, CONFIG, TextSettings(keep, "cuda:0", "float32"))
    ours = encoder.encode(SENTENCES[1])
    assert ours.device.type == "cpu"
    exact = TextEncoder(files, CONFIG, FLOAT32).encode(SENTENCES[1])
    torch.testing.assert_close(ours, exact, rtol=1e-3, atol=1e-3)
    assert (torch.cuda.memory_allocated() > before) == (keep == "gpu")
    encoder.close()
    assert torch.cuda.memory_allocated() == before


def test_longer_than_the_network_takes(files: TextFiles) -> None:
    assert TextEncoder(files, CONFIG).encode(" ".join(SENTENCES))[0].any(-1).all()


def test_the_same_words_are_encoded_once(files: TextFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    encoder = TextEncoder(files, CONFIG)
    first = encoder.encode("add snow")
    first[:] = 7  # the caller's own
    again = encoder.encode(" add\n snow ")
    assert len(counted.calls) == 1
    assert not torch.equal(first, again)
    assert torch.equal(again, encoder.encode("add snow"))
    assert not torch.equal(again, encoder.encode("add rain"))
    assert len(counted.calls) == 2
    assert counted.loads == 1


@pytest.mark.parametrize(
    ("keep", "loads", "loaded"), [("gpu", 1, True), ("cpu", 1, True), ("free", 2, False)]
)
def test_weights_between_instructions(
    keep: Any, loads: int, loaded: bool, files: TextFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    encoder = TextEncoder(files, CONFIG, TextSettings(keep, device="cpu"))
    encoder.load()
    assert counted.loads == (keep != "free")
    made = [encoder.encode(prompt) for prompt in ("add snow", "add rain", "add snow")]
    assert counted.loads == loads
    assert encoder.loaded is loaded
    assert torch.equal(made[0], made[2])


def test_the_least_recently_asked_for_goes(files: TextFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    tokenizer = text_module.Tokenizer(files.tokenizer, "toy")
    one, two, three = [letter for letter in "abcdefgh" if len(tokenizer.ids(letter, 9)) == 3][:3]
    room_for_two = 2 * 3 * CONFIG.text_dim * 2
    encoder = TextEncoder(files, CONFIG, TextSettings(cache_bytes=room_for_two))
    for prompt in (one, two, one, three, one, two):
        encoder.encode(prompt)
    assert len(counted.calls) == 4  # each once, and the second again


def test_many_threads_one_encoding(files: TextFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten ask at once; what is known does not wait for what is being encoded."""
    counted = Counted(monkeypatch)
    encoder = TextEncoder(files, CONFIG)
    known = encoder.encode("add snow")
    counted.gate.clear()
    made: list[torch.Tensor] = []
    threads = [
        threading.Thread(target=lambda: made.append(encoder.encode("add rain")), name="relens-test")
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    assert torch.equal(encoder.encode("add snow"), known)
    assert not made
    counted.gate.set()
    for thread in threads:
        thread.join(20)
    assert len(made) == 10
    assert all(torch.equal(each, made[0]) for each in made)
    assert len(counted.calls) == 2


def test_a_wait_for_others_ends(files: TextFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    encoder = TextEncoder(files, CONFIG)
    encoder.load()
    counted.gate.clear()
    other = threading.Thread(target=lambda: encoder.encode("add rain"), name="relens-test")
    other.start()
    assert counted.begun.wait(20)
    monkeypatch.setattr(text_module, "TURN_S", 0.05)
    with pytest.raises(ModelError, match="was busy"):
        encoder.encode("add snow")
    counted.gate.set()
    other.join(20)


def test_closed(files: TextFiles) -> None:
    encoder = TextEncoder(files, CONFIG)
    encoder.encode("a")
    encoder.close()
    encoder.close()
    assert not encoder.loaded
    with pytest.raises(ModelError, match="closed"):
        encoder.encode("a")


def test_missing_files_are_said_at_once(files: TextFiles, tmp_path: Path) -> None:
    for wrong in (TextFiles(tmp_path / "x.pth", files.tokenizer), TextFiles(files.weights, tmp_path / "y")):
        with pytest.raises(ModelError, match=r"is missing.*relens models download toy"):
            TextEncoder(wrong, CONFIG)


def test_a_failure_leaves_the_next_one_its_turn(files: TextFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TextEncoder(files, CONFIG)

    def full(*given: Any) -> Any:
        raise NoMemory("cuda:0 has no memory left")

    with monkeypatch.context() as patch:
        patch.setattr(text_module, "load_encoder", full)
        with pytest.raises(NoMemory, match=r'does not fit.*keep "cpu" or "free"'):
            encoder.encode("a")
    assert encoder.encode("a").any()


def test_memory_that_runs_out_while_encoding(files: TextFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def out(module: Any, given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def load(*given: Any) -> Any:
        encoder = load_encoder(*given)
        encoder.register_forward_pre_hook(out)
        return encoder

    monkeypatch.setattr(text_module, "load_encoder", load)
    encoder = TextEncoder(files, CONFIG)
    with pytest.raises(NoMemory, match="no memory left to encode"):
        encoder.encode("a")
    assert not encoder.loaded


def test_weights_that_are_not_the_networks(files: TextFiles) -> None:
    wider = WanConfig("wider", text_dim=4096)
    with pytest.raises(ModelError, match="makes 24 numbers a token, where the network takes 4096"):
        TextEncoder(files, wider).encode("a")


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    folder = toy_text.as_wan(tmp_path, toy_text.weights(200))
    with pytest.raises(ModelError, match="tokens, the text encoder 200: not of one model"):
        TextEncoder(TextFiles.within(folder, "toy"), CONFIG).encode("a")


def test_numbers_that_are_none(tmp_path: Path) -> None:
    held = toy_text.weights()
    held["norm.weight"][3] = torch.nan
    folder = toy_text.as_wan(tmp_path, held)
    with pytest.raises(ModelError, match=f"{WAN_FILE} gives numbers that are none"):
        TextEncoder(TextFiles.within(folder, "toy"), CONFIG).encode("a")
