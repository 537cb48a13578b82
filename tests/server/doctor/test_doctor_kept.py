"""What the doctor says of where films are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from server.config import Config
from server.doctor import kept as module
from server.kept.kept import Kept


def said(config: Config) -> dict[str, tuple[bool, str]]:
    return {
        finding.name: (finding.ok, f"{finding.detail} {finding.remedy}") for finding in module.kept(config)
    }


def test_nothing_is_made(tmp_path: Path) -> None:
    findings = said(Config(data_dir=str(tmp_path / "new")))
    assert [ok for ok, _ in findings.values()] == [True] * 4
    assert "child" in findings["films: reading"][1]
    assert "made at the first start" in findings["films: database"][1]
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_looked_at(tmp_path: Path) -> None:
    kept = Kept.open(str(tmp_path))
    assert "its tables are here" in said(Config(data_dir=str(tmp_path)))["films: database"][1]
    newer = sa.text("UPDATE alembic_version SET version_num = '9999'")
    kept.database.write(lambda connection: connection.execute(newer))
    kept.close()
    ok, words = said(Config(data_dir=str(tmp_path)))["films: database"]
    assert not ok
    assert "newer relens" in words


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ok, words = said(Config(data_dir="/proc/nowhere"))["films: folder"]
    assert not ok
    assert "/proc/nowhere" in words
    assert "--data-dir" in words
    monkeypatch.setattr(module, "_free_bytes", lambda _folder: 1000)
    ok, words = said(Config(data_dir=str(tmp_path)))["films: folder"]
    assert not ok
    assert "free some" in words


def test_servers_that_do_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ENDPOINT_URL": "http://127.0.0.1:1",
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    findings = said(
        Config(
            data_dir=str(tmp_path),
            database_url="postgresql://me:secret@127.0.0.1:1/x",
            storage_url="s3://films",
        )
    )
    assert not findings["films: database"][0]
    assert "secret" not in findings["films: database"][1]
    assert not findings["films: storage"][0]
    assert "does not answer" in findings["films: storage"][1]
