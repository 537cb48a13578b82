"""Downloads from a hub on this machine: whole, interrupted and gone on with, refused, wrong, too large."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("huggingface_hub")

from gpu.checkpoints import download as module
from gpu.checkpoints.download import Download, free_bytes, to_fetch
from gpu.checkpoints.hub import Hub, Offer
from gpu.checkpoints.progress import Lines
from gpu.checkpoints.store import Store, part_of
from gpu.errors import ModelError
from tests.gpu.checkpoints.loopback_hub import COMMIT, LoopbackHub
from tests.gpu.checkpoints.small_model import (
    CONTENT,
    MODEL,
    NETWORK,
    SMALL,
    TEXT,
    TOTAL_BYTES,
    file_of,
    lay_out,
)

SILENCE_S = 2.0


def started(store: Store, hub: LoopbackHub, **parameters: Any) -> Download:
    return Download(
        store, MODEL, Hub(hub.endpoint, silence_s=SILENCE_S), sleep=lambda seconds: None, **parameters
    )


def fetch(store: Store, hub: LoopbackHub) -> list[str]:
    """Plan and run; what was said."""
    said: list[str] = []
    download = started(store, hub)
    download.run(download.plan(), Lines(said.append))
    return said


def refused(store: Store, hub: LoopbackHub) -> str:
    with pytest.raises(ModelError) as error:
        fetch(store, hub)
    return str(error.value)


def test_all_files_arrive_whole_and_are_recorded(store: Store, hub: LoopbackHub) -> None:
    download = started(store, hub)
    wanted = download.plan()
    assert to_fetch(wanted) == TOTAL_BYTES
    assert not store.root.exists()  # a plan writes nothing
    download.run(wanted, Lines(lambda line: None))
    assert store.state(MODEL) == "ready"
    for name, body in CONTENT.items():
        assert (store.root / name).read_bytes() == body
        assert hub.sent(name) == len(body)
    record = store.records.get(file_of(NETWORK))
    assert record is not None
    assert (record.size_bytes, record.revision) == (len(CONTENT[NETWORK]), COMMIT)
    assert record.sha256 == record.etag != ""
    assert not list(store.root.rglob("*.part"))


def test_what_is_there_is_not_fetched_again(store: Store, hub: LoopbackHub) -> None:
    lay_out(store.root, TEXT, SMALL)
    fetch(store, hub)
    assert hub.sent(TEXT) == hub.sent(SMALL) == 0
    before = len(hub.asked)
    fetch(store, hub)
    assert len(hub.asked) == before  # a whole model asks nobody anything


def test_a_dropped_connection_goes_on_from_the_byte_it_stopped_at(store: Store, hub: LoopbackHub) -> None:
    hub.cut_at[NETWORK] = [600_000, 300_000]
    said = fetch(store, hub)
    assert (store.root / NETWORK).read_bytes() == CONTENT[NETWORK]
    starts = [asked.start for asked in hub.asked if asked.name == NETWORK and asked.sent]
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert len(starts) == 3
    assert all(start > 0 for start in starts[1:])
    assert hub.sent(NETWORK) <= len(CONTENT[NETWORK]) + 2 * 600_000  # the rest, not all of it again
    assert any("going on from" in line for line in said)


def test_a_hub_that_ignores_ranges_gives_the_same_file(store: Store, hub: LoopbackHub) -> None:
    hub.ignores_range = True
    hub.cut_at[NETWORK] = [700_000]
    fetch(store, hub)
    assert (store.root / NETWORK).read_bytes() == CONTENT[NETWORK]


def test_a_connection_that_stays_dead_ends_with_what_there_is_kept(store: Store, hub: LoopbackHub) -> None:
    hub.cut_at[NETWORK] = [500_000] + [0] * module.TRIES
    said = refused(store, hub)
    assert "run the same command again, it goes on there" in said
    there = part_of(store.root / NETWORK).stat().st_size
    assert 0 < there <= 500_000
    assert store.state(MODEL) == "incomplete"
    hub.cut_at.clear()
    sent = hub.sent(NETWORK)
    wanted = started(store, hub).plan()
    assert to_fetch(wanted) == TOTAL_BYTES - there
    fetch(store, hub)
    assert (store.root / NETWORK).read_bytes() == CONTENT[NETWORK]
    assert hub.sent(NETWORK) - sent == len(CONTENT[NETWORK]) - there


def test_a_silent_connection_is_given_up_and_made_anew(store: Store, hub: LoopbackHub) -> None:
    hub.hold_at[NETWORK] = 400_000
    release = threading.Timer(SILENCE_S * 1.5, hub.go_on.set)
    release.start()
    began = time.monotonic()
    fetch(store, hub)
    release.cancel()
    assert time.monotonic() - began < 30
    assert (store.root / NETWORK).read_bytes() == CONTENT[NETWORK]
    assert len([asked for asked in hub.asked if asked.name == NETWORK and asked.start > 0]) >= 1


def test_half_of_another_version_is_not_gone_on_with(store: Store, hub: LoopbackHub) -> None:
    hub.cut_at[NETWORK] = [500_000] + [0] * module.TRIES
    refused(store, hub)
    hub.cut_at.clear()
    hub.asked.clear()
    hub.files[NETWORK] = CONTENT[NETWORK] + b"more"
    fetch(store, hub)
    assert (store.root / NETWORK).read_bytes() == hub.files[NETWORK]
    assert hub.sent(NETWORK) == len(hub.files[NETWORK])


@pytest.mark.parametrize("name", [NETWORK, TEXT, "Base-AI/Base/config.json"])
def test_bytes_that_are_not_the_file_are_thrown_away(store: Store, hub: LoopbackHub, name: str) -> None:
    body = bytearray(CONTENT[name])
    body[-3] ^= 1
    hub.sent_instead[name] = bytes(body)
    said = refused(store, hub)
    assert name in said
    assert "was deleted" in said
    assert not (store.root / name).exists()
    assert not part_of(store.root / name).exists()
    hub.sent_instead.clear()
    fetch(store, hub)
    assert store.state(MODEL) == "ready"


def test_a_hub_with_other_files_than_known_is_refused_before_the_first_byte(
    store: Store, hub: LoopbackHub
) -> None:
    hub.files[TEXT] = CONTENT[TEXT] + b"x"
    assert "instead of" in refused(store, hub)
    hub.files[TEXT] = CONTENT[TEXT][:-1] + b"x"
    assert "sha256" in refused(store, hub)
    assert sum(asked.sent for asked in hub.asked) == 0


def test_too_little_disk_is_said_before_the_first_byte(store: Store, hub: LoopbackHub) -> None:
    download = started(store, hub, free=lambda folder: module.SPARE_BYTES + TOTAL_BYTES - 1)
    with pytest.raises(ModelError, match=r"needs 1\.84 MB more.*free 1 bytes there.*--models-dir"):
        download.plan()
    assert sum(asked.sent for asked in hub.asked) == 0
    started(store, hub, free=lambda folder: module.SPARE_BYTES + TOTAL_BYTES).plan()


def test_the_disk_is_asked_where_the_folder_will_be(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not/yet/there") > 0


def test_a_disk_that_fills_up_all_the_same_is_said(
    store: Store, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = started(store, hub)
    wanted = download.plan()

    def full(offer: Offer, start: int, by_xet: bool) -> Generator[bytes, None, None]:
        yield b"x"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download._hub, "bytes_from", full)
    with pytest.raises(ModelError, match=r"No space left on device.*goes on where it was"):
        download.run(wanted, Lines(lambda line: None))


def test_one_download_at_a_time_in_a_folder(store: Store, hub: LoopbackHub) -> None:
    hub.hold_at[NETWORK] = 100_000
    thread = threading.Thread(target=fetch, args=(store, hub), name="first")
    thread.start()
    try:
        assert hub.held.wait(10)
        assert "another process downloads" in refused(store, hub)
    finally:
        hub.go_on.set()
        thread.join(20)
    assert store.state(MODEL) == "ready"
