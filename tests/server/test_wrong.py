"""What msgspec refused, in words; every pattern that the API has can be said."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from server.jobs.request import read_request
from server.openapi import document
from server.protocol import EditMessage
from server.routes.table import ROUTES
from server.stream_api import EditAsked, SettingsAsked
from server.streams.types import StreamFacts
from server.wrong import ALLOWED, in_words


def refusal(body: str, kind: type) -> str:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(body, type=kind)
    return in_words(refused.value)


def patterns(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for value in node.values():
            yield from patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from patterns(value)


def test_every_pattern_of_the_api_has_words() -> None:
    used = set(patterns(document(ROUTES, "1.0"))) | set(patterns(msgspec.json.schema(StreamFacts)))
    assert used
    assert used <= set(ALLOWED)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ('{"key": "a b"}', SettingsAsked, "key must be 8 to 128 letters (a to z, A to Z), digits"),
        ('{"viewKey": "ä"}', SettingsAsked, "viewKey must be at most 128 letters"),
        ('{"redirect": "ftp://x"}', SettingsAsked, "redirect must be an http:// or https:// address"),
        (
            '{"srt": {"port": 9000, "passphrase": "0123456789/"}}',
            SettingsAsked,
            "srt.passphrase must be made of letters",
        ),
        (
            '{"srt": {"port": 9000, "passphrase": "short"}}',
            SettingsAsked,
            "srt.passphrase is too short: it has at least 10 characters",
        ),
        ('{"srt": {"port": 0}}', SettingsAsked, "srt.port must be at least 1"),
        ('{"srt": {"port": 1}}', SettingsAsked, "srt.passphrase is missing"),
        ('{"targets": [{"name": ""}]}', SettingsAsked, "targets[0].name is too short"),
        ('{"strength": 2}', SettingsAsked, "strength must be at most 1.0"),
        ('{"strength": "much"}', SettingsAsked, "strength must be a number, not text"),
        ('{"strenght": 1}', SettingsAsked, "there is no field strenght"),
        ('{"srt": {"port": 1, "x": 1}}', SettingsAsked, "there is no field srt.x"),
        ("[]", SettingsAsked, "it must be an object, not a list"),
        (f'{{"prompt": "{"a" * 2001}"}}', EditAsked, "prompt is too long: at most 2000 characters"),
        ('{"preset": 10}', EditAsked, "preset must be at most 9"),
        ('{"preset": "two"}', EditAsked, "preset must be a whole number or null, not text"),
        ('{"type": "edit", "prompt": ""}', EditMessage, "revision is missing"),
    ],
)
def test_it_names_the_field_and_what_it_takes(body: str, kind: type, words: str) -> None:
    said = refusal(body, kind)
    assert said.startswith(words), said
    assert "regex" not in said


def test_nine_presets_are_the_most() -> None:
    presets = [{"name": "a", "prompt": "b"}] * 10
    body = msgspec.json.encode({"presets": presets}).decode()
    assert refusal(body, SettingsAsked) == "presets has too many: at most 9 are taken"


def test_what_is_not_known_is_left_as_it_is() -> None:
    assert in_words(ValueError("Input data was truncated")) == "Input data was truncated"
    with pytest.raises(Exception, match="videoId is missing"):
        read_request(b'{"instruction": "night"}')
