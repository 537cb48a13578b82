"""The Ditto-1M loader on a miniature of the published layout, made of real clips."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from gpu.types import Part, Reading
from server.__main__ import main

cv2 = pytest.importorskip("cv2", reason="the distill extra is not installed")
import av  # noqa: E402

from gpu.nano.distill import ditto  # noqa: E402

SIDE = (320, 240)


def write_clip(path: Path, tint: int, frames: int = 6, size: tuple[int, int] = SIDE) -> None:
    """A small real mp4: a bright square that moves, over a tinted ground."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(frames):
            image = np.full((height, width, 3), 60, np.uint8)
            image[..., 2] = tint
            image[60:120, 40 + 10 * number : 100 + 10 * number] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Two styles, a local edit and the synthetic-to-real list, as the data set has them."""
    root = tmp_path / "Ditto-1M"
    for name in ("source/a.mp4", "source/b.mp4", "local/a_1.mp4"):
        write_clip(root / "videos" / name, 60)
    write_clip(root / "videos/global_style1/a_7.mp4", 200)
    # unpacking in place leaves the folder's name twice
    write_clip(root / "videos/global_style2/global_style2/b_3.mp4", 10, size=(160 * 2, 120 * 2))
    lists = {
        "global_style1": [("source/a.mp4", "global_style1/a_7.mp4", "Make it a pencil sketch.")],
        "global_style2": [
            ("source/b.mp4", "global_style2/b_3.mp4", "Turn it into a watercolour"),
            ("source/b.mp4", "global_style2/missing.mp4", "Turn it into Lego"),
        ],
        "local": [("source/a.mp4", "local/a_1.mp4", "Put a hat on the man")],
        "sim2real": [("global_style1/a_7.mp4", "source/a.mp4", "Make it look real")],
    }
    folder = root / ditto.METADATA
    folder.mkdir()
    for name, rows in lists.items():
        items = [{"source_path": s, "instruction": i, "edited_path": e} for s, e, i in rows]
        (folder / f"{name}.json").write_text(json.dumps(items))
    return root


def read(prompt: str) -> Reading:
    """Stands in for the text tower: knows two edits."""
    for word, name in (("pencil", "pencil"), ("watercolour", "watercolour")):
        if word in prompt:
            return Reading((Part(name, 1.0),), 1.0)
    return Reading((), 0.1, understood=False)


def test_lists_every_pair_that_is_there(copy: Path) -> None:
    listing = ditto.list_triplets(copy)
    assert [t.edited.name for t in listing.triplets] == ["a_7.mp4", "b_3.mp4", "a_1.mp4", "a.mp4"]
    assert listing.problems == {"clip that is not there": 1}
    assert "global_style2.json item 2: global_style2/missing.mp4" in listing.named[0]


def test_frames_belong_together(copy: Path) -> None:
    listing = ditto.list_triplets(copy)
    made = list(ditto.pairs(listing, every=2))
    assert len(made) == 4
    source, edited, instruction = made[0]
    assert instruction == "Make it a pencil sketch."
    assert len(source) == len(edited) == 3
    assert source[0].shape == edited[0].shape == (240, 320, 3)
    assert source[0].dtype == np.uint8
    assert abs(int(source[0][200, 10, 2]) - 60) < 12  # the tint of each came through, in RGB
    assert abs(int(edited[0][200, 10, 2]) - 200) < 12
    for number, (a, b) in enumerate(zip(source, edited, strict=True)):
        square = 70 + 20 * number  # the same moment in both
        assert a[90, square].min() > 180
        assert b[90, square].min() > 180


def test_the_text_tower_says_which_edit_gets_how_many(copy: Path) -> None:
    by_edit = ditto.assign(ditto.list_triplets(copy).triplets, read)
    assert {name: len(found) for name, found in by_edit.items()} == {
        "pencil": 1,
        "watercolour": 1,
        ditto.OUT_OF_REACH: 2,
    }


def test_only_real_sources_join_the_pool_and_each_once(copy: Path) -> None:
    pictures = list(ditto.photographs(ditto.list_triplets(copy), every=3))
    assert len(pictures) == 2 * 2  # clips a and b; the stylised source of sim2real is no photograph


def test_csv_lists_do_where_there_is_no_metadata(copy: Path) -> None:
    for path in (copy / ditto.METADATA).glob("*.json"):
        path.unlink()
    (copy / ditto.CSVS).mkdir()
    with (copy / ditto.CSVS / "global_style1.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["video", "vace_video", "prompt"])
        table.writerow(["global_style1/a_7.mp4", "source/a.mp4", "Make it a pencil sketch, please"])
    (triplet,) = ditto.list_triplets(copy).triplets
    assert (triplet.source.name, triplet.edited.name) == ("a.mp4", "a_7.mp4")
    assert triplet.instruction.endswith("please")


def test_broken_things_are_named_and_not_fatal(copy: Path) -> None:
    (copy / "videos/source/b.mp4").write_bytes(b"no video at all")
    write_clip(copy / "videos/global_style1/a_7.mp4", 200, size=(240, 320))  # upright: not of this source
    (copy / ditto.METADATA / "broken.json").write_text("[{")
    rows = [
        {"source_path": "source/a.mp4"},
        "words",
        {"source_path": "../../x", "edited_path": "y", "instruction": "z"},
    ]
    (copy / ditto.METADATA / "odd.json").write_text(json.dumps(rows))
    listing = ditto.list_triplets(copy)
    assert len(list(ditto.pairs(listing))) == 1
    assert listing.problems == {
        "clip that is not there": 2,
        "table that cannot be read": 1,
        "item without source_path, edited_path or instruction": 2,
        "pair that cannot be used": 3,
    }
    assert any("b.mp4 is no video" in name for name in listing.named)


def test_what_is_no_copy_of_it_says_what_to_do(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(SystemExit, match="neither training_metadata"):
        ditto.list_triplets(tmp_path)
    for path in (copy / "videos").rglob("*.mp4"):
        path.unlink()
    (copy / "videos/source/source.tar.gz.00").write_bytes(b"")
    with pytest.raises(SystemExit, match="unpack source first"):
        ditto.list_triplets(copy)


def test_prepare_takes_its_real_clips_and_says_what_each_edit_would_get(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm", reason="the distill extra is not installed")
    from gpu.nano.distill import prepare
    from gpu.nano.distill.pictures import load_pool

    for name in ("a", "b"):
        write_clip(copy / f"videos/source/{name}.mp4", 60, frames=40)
    monkeypatch.setattr(prepare, "_reader", lambda: read)
    assert main(["distill", "prepare", "--ditto", str(copy), "--out", str(tmp_path / "data")]) == 0
    assert len(load_pool(tmp_path / "data" / prepare.POOL)) == 2 * 4
    said = capsys.readouterr().out
    assert "4 pairs, 8 pictures of their real sources" in said
    assert "pencil: 1" in said
    assert f"{ditto.OUT_OF_REACH}: 2" in said
    (source,) = json.loads((tmp_path / "data" / prepare.ABOUT).read_text())["sources"]
    assert source["licence"].startswith("CC BY-NC-SA 4.0")
