"""What the hub says and refuses, in plain words; xet and HTTP for the same bytes; who sees a token."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

pytest.importorskip("huggingface_hub")

from gpu.checkpoints import hub as hub_module
from gpu.checkpoints.download import Download
from gpu.checkpoints.hub import CutOff, Hub, Offer
from gpu.checkpoints.progress import Lines
from gpu.checkpoints.store import Store
from gpu.errors import ModelError
from tests.gpu.checkpoints.loopback_hub import COMMIT, LoopbackHub
from tests.gpu.checkpoints.small_model import CONTENT, MODEL, NETWORK, SMALL, TEXT, file_of

SILENCE_S = 2.0


def fetch(store: Store, hub: LoopbackHub) -> None:
    download = Download(store, MODEL, Hub(hub.endpoint, silence_s=SILENCE_S), sleep=lambda seconds: None)
    download.run(download.plan(), Lines(lambda line: None))


def refused(store: Store, hub: LoopbackHub) -> str:
    with pytest.raises(ModelError) as error:
        fetch(store, hub)
    return str(error.value)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "EntryNotFound", ("has no text.pth", "Base-AI/Base")),
        (404, "RevisionNotFound", ("has no text.pth in Base-AI/Base at main",)),
        (401, "GatedRepo", ("accept", "HF_TOKEN", "Base-AI/Base")),
        (403, "GatedRepo", ("accept", "HF_TOKEN")),
        (401, "RepoNotFound", ("no repository Base-AI/Base", "HF_TOKEN")),
        (401, "", ("HF_TOKEN",)),
        (403, "", ("403", "HF_TOKEN")),
        (500, "", ("500", "later")),
        (503, "", ("503", "later")),
        (429, "", ("429", "later")),
        (418, "", ("418",)),
    ],
)
def test_refusals_are_said_with_a_remedy(
    store: Store, hub: LoopbackHub, status: int, code: str, words: tuple[str, ...]
) -> None:
    hub.refusals[TEXT] = (status, code)
    said = refused(store, hub)
    assert "\n" not in said
    for word in words:
        assert word in said
    assert sum(asked.sent for asked in hub.asked) == 0


def test_a_token_goes_to_the_hub_and_to_nobody_else(
    store: Store, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(store, hub)
    for asked in hub.asked:
        if asked.sent and len(CONTENT[asked.name]) >= 1000:  # came from the other host
            assert asked.authorization is None
        else:
            assert asked.authorization == "Bearer hf_secret"


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "403"), (404, "404"), (410, "410"), (502, "502 Bad Gateway"), (200, "is not the file")],
)
def test_what_the_other_host_refuses_is_said_too(
    store: Store, hub: LoopbackHub, status: int, words: str
) -> None:
    hub.cdn_refusal = status
    said = refused(store, hub)
    assert words in said
    assert "net.pt" in said
    assert not list(store.root.rglob("*.pt"))
    part = store.root / "someone/Edit/net.pt.part"
    assert part.stat().st_size == 0  # nothing of a page in it


def test_no_hub_at_all_is_said_with_what_to_check(store: Store) -> None:
    with pytest.raises(ModelError, match=r"cannot be reached.*HTTPS_PROXY.*relens models add"):
        Download(store, MODEL, Hub("http://127.0.0.1:9")).plan()


def test_a_page_to_log_in_is_no_hub(store: Store, hub: LoopbackHub) -> None:
    hub.refusals[NETWORK] = (200, "")
    assert "does not answer as a hub does" in refused(store, hub)


class XetHub(Hub):
    """Speaks xet as far as the byte it breaks at."""

    def __init__(self, endpoint: str, breaks_at: int) -> None:
        super().__init__(endpoint, silence_s=SILENCE_S)
        self.breaks_at, self.started_at = breaks_at, list[int]()

    def has_xet(self, offer: Offer) -> bool:
        return True

    def _by_xet(self, offer: Offer, start: int) -> Generator[bytes, None, None]:
        self.started_at.append(start)
        body = CONTENT[offer.file.name]
        yield body[start : start + self.breaks_at]
        if start + self.breaks_at < len(body):
            raise CutOff("xet: broken")


def test_where_xet_breaks_http_goes_on_from_the_same_byte(store: Store, hub: LoopbackHub) -> None:
    library = XetHub(hub.endpoint, breaks_at=150_000)
    download = Download(store, MODEL, library, sleep=lambda seconds: None)
    download.run(download.plan(), Lines(lambda line: None))
    assert store.state(MODEL) == "ready"
    assert hub.sent(NETWORK) == len(CONTENT[NETWORK]) - 150_000
    assert hub.sent(SMALL) == 0  # came by xet whole
    assert library.started_at == [0] * len(CONTENT)


def test_what_xet_cannot_do_at_all_is_a_cut_off(hub: LoopbackHub) -> None:
    offer = Offer(file_of(NETWORK), "url", "e", 1000, COMMIT, xet=object())
    with pytest.raises(CutOff, match="xet"):
        next(Hub(hub.endpoint).bytes_from(offer, 0, by_xet=True))


def test_the_real_hub_is_asked_by_xet_where_it_offers_it(hub: LoopbackHub) -> None:
    offer = Offer(file_of(NETWORK), "url", "e", 1000, COMMIT, xet=object())
    pytest.importorskip("hf_xet")
    assert Hub(hub.endpoint).has_xet(offer)
    assert not Hub(hub.endpoint).has_xet(Offer(file_of(NETWORK), "url", "e", 1000, COMMIT))


def test_offline_is_heeded(store: Store, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    from huggingface_hub.utils import close_session

    close_session()
    try:
        assert "HF_HUB_OFFLINE is set" in refused(store, hub)
        assert not hub.asked
    finally:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        close_session()


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpu.errors import DeviceError

    def nothing(module: str) -> Any:
        from gpu.checkpoints.needs import need

        return need(f"{module}_is_not_installed")

    monkeypatch.setattr(hub_module, "need", nothing)
    with pytest.raises(DeviceError, match=r"pip install 'relens\[liveedit\]'"):
        Hub()
