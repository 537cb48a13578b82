"""The full-size model's path through the server, at a toy size on the CPU, with a peer that is no browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from test_command import logging_as_before, running
from visitor import serving, until

pytest.importorskip("torch")

from gpu.errors import NoMemory
from gpu.models import liveedit_spec
from server.__main__ import main

__all__ = ["logging_as_before"]  # a fixture: these tests, too, run the command in their process

PROMPT = "turn the person into a robot with a metal face"


@pytest.mark.parametrize("chunk_frames", [4, pytest.param(12, marks=pytest.mark.slow)])
async def test_an_open_ended_instruction_from_receipt_to_picture_and_back(chunk_frames: int) -> None:
    async with serving(model="liveedit-toy", random_weights=True, chunk_frames=chunk_frames) as served:
        visitor = await served.visitor().connect()
        await until(lambda: visitor.pictures >= chunk_frames, what="the source comes back")
        visitor.edit(1, PROMPT, transitionMs=0)
        received = await visitor.hears("received", revision=1)
        assert (received["label"], received["understood"], received["parts"]) == (PROMPT, True, [])
        applied = await visitor.hears("applied", revision=1)
        before = visitor.pictures
        await until(lambda: visitor.pictures >= before + 2 * chunk_frames, 60, "edited pictures come")
        visitor.edit(2, "undo that")
        back = await visitor.hears("received", revision=2)
        assert back["prompt"] == ""
        assert (await visitor.hears("applied", revision=2))["pts"] != applied["pts"]
        stats: dict[str, Any] = await visitor.hears("stats", model="liveedit-toy", revision=2)
        assert stats["device"].startswith("CPU, PyTorch")
        assert not visitor.heard("error")


async def test_an_instruction_that_cannot_be_encoded_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: object, prompt: str) -> None:
        raise NoMemory("no memory for the text encoder")

    monkeypatch.setattr("gpu.models.liveedit_parts.RandomText.encode", fails)
    async with serving(model="liveedit-toy", random_weights=True) as served:
        visitor = await served.visitor().connect()
        visitor.edit(1, PROMPT)
        said = await visitor.hears("error", code="edit-refused", revision=1)
        assert "no memory for the text encoder" in said["message"]
        before = visitor.pictures
        await until(lambda: visitor.pictures > before + 4, what="the stream goes on")


async def test_the_list_says_what_random_weights_are() -> None:
    async with serving(model="liveedit-toy", random_weights=True) as served:
        async with served.http.get(served.base + "/models") as reply:
            models = {model["name"]: model for model in (await reply.json())["models"]}
        for name in liveedit_spec.NAMES:
            assert "means nothing" in models[name]["note"]
            assert "random" in models[name]["weights"]
        assert models["liveedit-toy"]["default"]
        assert models["nano"]["note"] == ""
        assert models["liveedit-toy"]["framesPerChunk"] == 4
        assert models["liveedit-toy"]["memoryBytesPerStream"] > 10**6
        async with served.http.get(served.base + "/understand?prompt=a+cat+on+my+head") as reply:
            assert (await reply.json())["label"] == "a cat on my head"


async def test_without_random_weights_nobody_is_offered_them(tmp_path: Any) -> None:
    async with serving(models_dir=str(tmp_path)) as served:
        async with served.http.get(served.base + "/models") as reply:
            names = [model["name"] for model in (await reply.json())["models"]]
        assert not set(names) & set(liveedit_spec.NAMES)
        reply = await served.visitor().offer("?model=liveedit-1.3b")
        assert reply.status >= 400
        assert "relens models download" in await reply.text()


async def test_the_start_says_what_random_weights_are() -> None:
    async with running("--model", "liveedit-toy", "--random-weights") as (process, _, line):
        assert "model liveedit-toy on CPU, PyTorch" in line
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        assert said == "liveedit-toy: random weights: for measuring only, the picture means nothing\n"


def test_one_message_says_what_to_run(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    for flags, wanted in (
        (("--model", "liveedit-1.3b", "--models-dir", str(tmp_path)), "relens models download liveedit-1.3b"),
        (("--model", "liveedit-toy"), "--random-weights"),
        (("--model", "liveedit-toy", "--random-weights", "maybe"), "true or false"),
        (("--model", "liveedit-toy", "--random-weights", "--chunk-frames", "5"), "4 or 12"),
    ):
        assert main(["serve", "--port", "0", *flags]) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert [line.startswith("relens: ") for line in said.splitlines()].count(True) == 1
        assert wanted in said
