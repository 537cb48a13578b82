"""What the report measures with: each measure on pictures whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gpu.nano.particles import Particles
from gpu.types import Frame
from server.__main__ import main

cv2 = pytest.importorskip("cv2", reason="the distill extra is not installed")
pytest.importorskip("torch", reason="the distill extra is not installed")
pytest.importorskip("tqdm", reason="the distill extra is not installed")

from gpu.nano.distill import clips, flow, scores, sheets, texture, tracking, verdict  # noqa: E402

SIZE = (160, 120)


def photograph(seed: int = 0, width: int = 400, height: int = 300) -> np.ndarray:
    """Patches with fine texture on them, RGB uint8."""
    rng = np.random.default_rng(seed)
    patches = rng.uniform(30, 220, (height // 20, width // 20, 3)).astype(np.float32)
    smooth = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 30, (height, width)).astype(np.float32), (0, 0), 1.2)
    return (smooth + grain[..., None] * 2).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clip() -> clips.Clip:
    return clips.of("made", clips.pan(photograph(), 5, SIZE))


def luma(images: list[np.ndarray]) -> list[np.ndarray]:
    return [clips.to_frame(image, i).y for i, image in enumerate(images)]


def test_flow_follows_the_camera_and_noise_is_what_flickers(clip: clips.Clip) -> None:
    moved = flow.motions(luma(clip.clean))
    assert len(moved) == 4
    assert min(m.seen.mean() for m in moved) > 0.6
    calm, noisy = (flow.flicker(luma(c), moved) for c in (clip.clean, clip.noisy))
    assert calm < 0.85 * noisy
    # a picture that stays on the screen while the camera moves does flicker
    assert flow.flicker([luma(clip.clean)[0]] * 5, moved) > 1.5 * noisy


def test_blur_does_not_pass_for_calm(clip: clips.Clip) -> None:
    """Half the contrast is half the change: the flicker stays."""
    moved = flow.motions(luma(clip.clean))
    noisy = luma(clip.noisy)
    weak = [np.round(128 + (plane.astype(np.float32) - 128) / 2).astype(np.uint8) for plane in noisy]
    assert flow.warping_error(weak, moved) < 0.7 * flow.warping_error(noisy, moved)
    assert flow.flicker(weak, moved) == pytest.approx(flow.flicker(noisy, moved), rel=0.2)


def test_clips_are_the_same_in_every_run(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), photograph())
    first, second = (clips.read(path, 3, SIZE) for _ in range(2))
    assert first.size == SIZE
    assert all(np.array_equal(a, b) for a, b in zip(first.noisy, second.noisy, strict=True))
    assert not np.array_equal(first.clean[0], first.clean[1])
    still = clips.read(tmp_path / "photo.png@still", 3, SIZE)
    assert still.name == "photo_still"
    assert still.clean[0] is still.clean[2]
    assert not np.array_equal(still.noisy[0], still.noisy[2])
    (tmp_path / "words.txt").write_text("no picture")
    with pytest.raises(SystemExit, match="neither a video"):
        clips.read(tmp_path / "words.txt", 3, SIZE)


def test_frames_survive_the_way_there_and_back(clip: clips.Clip) -> None:
    frame = clips.to_frame(clip.clean[0], 3)
    assert frame.pts == 3 * 3750
    again = clips.to_frame(clips.to_rgb(frame), 3)
    assert scores.psnr(frame, again) > 38
    assert scores.psnr(frame, frame) == 99


def test_texture_knows_strokes_from_blur() -> None:
    source = photograph(1).astype(np.float32) / 255
    rng = np.random.default_rng(2)
    strokes = cv2.GaussianBlur(
        rng.normal(0, 1, source.shape[:2]).astype(np.float32), (0, 0), sigmaX=6, sigmaY=1
    )
    other = np.roll(strokes, (17, 40), (0, 1))
    teacher, student = ((source + 1.5 * s[..., None]).clip(0, 1).astype(np.float32) for s in (strokes, other))
    blurred = cv2.GaussianBlur(teacher, (0, 0), 3)
    assert texture.share(teacher, teacher, source) == 0
    assert texture.share(source, teacher, source) == pytest.approx(1)
    assert texture.share(student, teacher, source) < 0.3  # the same strokes elsewhere
    assert texture.share(blurred, teacher, source) > 0.5


def covers(seeds: list[int], step: int = 3750) -> list[np.ndarray]:
    return [
        Particles(640, 480, seed).cover(n * step, False, True).astype(np.float32) / 2
        for n, seed in enumerate(seeds)
    ]


def test_flakes_that_fall_are_told_from_flakes_that_flash() -> None:
    falling = tracking.track(covers([0] * 4))
    assert falling.persist > 0.9
    assert falling.chance < 0.3
    assert 2 < falling.step_px < 12
    assert tracking.track(covers([1, 2, 3, 4])).persist < 0.4  # elsewhere in every frame
    assert tracking.track([covers([0])[0]] * 4).persist < 0.1  # they hang in the air
    assert tracking.track([np.zeros((48, 64), np.float32)] * 3).persist == 0


def test_what_is_laid_over_a_still_picture_is_found() -> None:
    ground = clips.to_frame(photograph().astype(np.float32) / 255, 0).y
    cover = [np.zeros(ground.shape, np.uint8) for _ in range(5)]
    for n, plane in enumerate(cover):
        plane[20 + 10 * n : 24 + 10 * n, 50:54] = 40
    found = tracking.laid_over([np.minimum(235, ground + c).astype(np.uint8) for c in cover])
    assert found[2][41:43, 51:53].min() > 5
    assert found[2][100:].max() < 5


def score(edit: str, **values: float) -> scores.Score:
    plain = {
        "psnr_db": 40.0, "psnr_alone_db": 40.0, "energy": 1.0, "gram": 0.2, "gram_bank": 0.3,
        "flicker": 0.1, "flicker_alone": 0.2, "flicker_teacher": 0.2,
    }  # fmt: skip
    return scores.Score("clip", edit, **{**plain, **values})


def test_one_edit_that_misses_a_bound_is_named_and_counts() -> None:
    rows = verdict.fidelity([score("night"), score("sepia", psnr_db=33.9), score("pencil", energy=1.3)])
    looks, drawings, energy = rows
    assert not looks.met
    assert "worst 33.9 (sepia), 1 of 2" in looks.measured
    assert drawings.met
    assert not energy.met
    assert "worst 1.30 (pencil)" in energy.measured
    assert "**not met**" in verdict.markdown(rows)


def test_the_caches_ablation_asks_for_calm_without_loss() -> None:
    assert [row.met for row in verdict.cache([score("night")])] == [True]
    assert [row.met for row in verdict.cache([score("night", flicker=0.19)])] == [False]
    assert [row.met for row in verdict.cache([score("night", psnr_db=39.5)])] == [False]


def test_clips_are_shown_apart() -> None:
    table = verdict.by_clip([score("night"), score("pencil", flicker=0.3)], {"clip": 0.4})
    assert "| clip | looks | 0.50 | 50% | +0.00 dB |" in table
    assert "| clip | *the source without noise* | 0.40 | | |" in table
    assert "| clip | drawings | 1.50 | -50% | +0.00 dB |" in table


def test_a_sheet_shows_every_pair_in_a_small_file(tmp_path: Path) -> None:
    image = photograph().astype(np.float32) / 255
    sheets.write(tmp_path / "sheet.png", [sheets.Pair(f"edit {n}", image, 1 - image) for n in range(4)])
    made = cv2.imread(str(tmp_path / "sheet.png"))
    assert made.shape == (2 * (sheets.TILE[1] + 16), 3 * (2 * sheets.TILE[0] + 6), 3)
    assert (tmp_path / "sheet.png").stat().st_size < 300_000


def test_the_card_gets_its_tables_and_keeps_its_words(tmp_path: Path) -> None:
    path, report = tmp_path / "CARD.md", tmp_path / "report.json"
    path.write_text(
        "# words\n<!-- PACKAGES: by us -->\nold\n<!-- /PACKAGES -->\n<!-- EDITS -->\n<!-- /EDITS -->\nend\n"
    )
    report.write_text(json.dumps({"card": {"EDITS": "| a table |"}}))
    assert main(["distill", "card", str(report), "--card", str(path)]) == 0
    text = path.read_text()
    assert "# words\n" in text
    assert "<!-- EDITS -->\n| a table |\n<!-- /EDITS -->\nend\n" in text
    assert "old" not in text
    assert main(["distill", "card", str(report), "--card", str(path)]) == 0
    assert path.read_text() == text
    report.write_text(json.dumps({"card": {"NOWHERE": "x"}}))
    with pytest.raises(SystemExit, match="no place for NOWHERE"):
        main(["distill", "card", str(report), "--card", str(path)])
    report.write_text("{}")
    with pytest.raises(SystemExit, match="is no report"):
        main(["distill", "card", str(report), "--card", str(path)])


def test_frames_are_compared_over_all_planes() -> None:
    flat = np.full((4, 4), 100, np.uint8)
    half = np.full((2, 2), 128, np.uint8)
    a, b = Frame(flat, half, half, 0), Frame(flat + 1, half, half, 0)
    assert scores.psnr(a, b) == pytest.approx(10 * np.log10(255**2 / (16 / 24)), abs=1e-6)
