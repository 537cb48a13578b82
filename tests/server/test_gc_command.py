"""`relens gc`, as it is typed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from server import gc_command
from server.__main__ import BAD_USE, main
from server.kept.kept import Kept


@pytest.fixture
def orphan(tmp_path: Path) -> Path:
    """A blob that nobody names, two days old."""
    kept = Kept.open(str(tmp_path))
    kept.blobs.put("work/orphan", b"x" * 2000)
    path = kept.blobs.open_local("work/orphan")
    kept.close()
    os.utime(path, (0, 0))
    return path


def test_a_dry_run_says_and_leaves(tmp_path: Path, orphan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "--dry-run", "--data-dir", str(tmp_path)]) == 0
    assert "blob work/orphan: nobody names it, 2000 bytes\nwould free 2" in capsys.readouterr().out
    assert orphan.exists()


def test_it_frees_and_says_what(tmp_path: Path, orphan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("0 uploads, 0 videos, 0 sessions, 1 blobs\n")
    assert not orphan.exists()


def test_now_takes_what_is_an_hour_old(tmp_path: Path, orphan: Path) -> None:
    two_hours_ago = time.time() - 2 * gc_command.NO_GRACE_S
    os.utime(orphan, (two_hours_ago, two_hours_ago))
    main(["gc", "--data-dir", str(tmp_path)])
    assert orphan.exists()
    main(["gc", "--now", "--data-dir", str(tmp_path)])
    assert not orphan.exists()


def test_a_folder_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "--data-dir", "/proc/nowhere"]) == BAD_USE
    assert "data_dir /proc/nowhere" in capsys.readouterr().err
