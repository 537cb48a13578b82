"""What the doctor says of codecs and models."""

from __future__ import annotations

import pytest

from gpu.errors import DeviceError
from gpu.models.choice import Choice
from gpu.models.passthrough import PassthroughModel
from server.config import Config
from server.doctor import media


def test_a_codec_that_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise DeviceError("libx264 is missing")

    monkeypatch.setattr(media, "open_encoder", refuse)
    finding = media.codec("h264")
    assert not finding.ok
    assert finding.detail == "libx264 is missing"
    assert "install relens again" in finding.remedy


def test_a_model_that_runs_says_its_pace() -> None:
    trial = media.try_model("passthrough", Config())
    assert trial.finding.ok
    assert "ms a picture at 640x480" in trial.finding.detail
    assert trial.device == "no device"
    assert trial.spec is not None
    assert trial.spec.name == "passthrough"


def test_a_model_is_needed_where_it_is_the_one_served() -> None:
    assert media.try_model("nope", Config(model="nope")).finding.needed
    assert not media.try_model("nope", Config(model="passthrough")).finding.needed


def test_a_choice_is_said_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert media.chosen(Config(model="nano")) == []
    closed = []

    class Loaded(PassthroughModel):
        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(media, "choose", lambda threads: Choice("nano-plus", "it takes 9 ms", Loaded()))
    (finding,) = media.chosen(Config(model="auto"))
    assert finding.detail == "nano-plus: it takes 9 ms"
    assert closed == [True]
