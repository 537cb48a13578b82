"""What OpenAPI says is what a running server does, whatever it is asked: made requests, all of its routes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.film.small_film import make_film
from tests.server.plain_server import plain_server

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

EXAMPLES = 10  # of each route
ENDLESS_OR_KEYS = ("/events", "/key", "/settings")  # of the one stream that is there
HEARD_S = 4  # of events that do not end
DOCUMENTED = (503, 507)  # the only ones of the server's own that a request may meet


@schemathesis.serializer(
    "application/sdp", "application/trickle-ice-sdpfrag", "application/offset+octet-stream"
)
def as_it_is(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, str]]:
    """(base URL, log, a video's id)."""
    folder = tmp_path_factory.mktemp("served")
    film = make_film(folder / "film.mp4", 10).read_bytes()
    with plain_server(folder) as (base, log):
        headers = {
            "Tus-Resumable": "1.0.0", "Upload-Length": str(len(film)),
            "Content-Type": "application/offset+octet-stream",
        }  # fmt: skip
        with urllib.request.urlopen(urllib.request.Request(base + "/files", film, headers)) as reply:
            yield base, log, reply.headers["X-Video-Id"]


def _wrong(case: Any, reply: Any) -> str:
    """What is not as the document says; empty: nothing."""
    said = case.operation.definition.raw["responses"]
    status = reply.status_code
    if status >= 500 and status not in DOCUMENTED:
        return f"{status}: {reply.text[:300]}"
    if str(status) not in said and status not in (405, 304, 408):  # of any route, by HTTP itself
        return f"{status} is not in the document: {reply.text[:300]}"
    kind = reply.headers.get("content-type", [""])
    kind = kind[0] if isinstance(kind, list) else kind
    if status >= 400 and reply.request.method != "HEAD":
        if not kind.startswith("application/problem+json"):
            return f"{status} as {kind!r}"
        told = json.loads(reply.content)
        if told["status"] != status or not told["detail"]:
            return f"{status} says {told}"
    return ""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_made_requests_are_answered_as_the_document_says(served: tuple[str, Path, str]) -> None:
    base, log, video = served
    schema = schemathesis.openapi.from_url(base + "/openapi.json")
    with urllib.request.urlopen(base + "/streams/live/settings") as settings:
        key = json.load(settings)["key"]
    faults: dict[str, str] = {}
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
            phases=(hypothesis.Phase.generate,), suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        @hypothesis.given(case=operation.as_strategy(), real=hypothesis.strategies.booleans())
        def ask(case: Any, real: bool) -> None:
            nonlocal asked
            if real and "video" in (case.path_parameters or {}) and case.method != "DELETE":
                case.path_parameters["video"] = video
            kept = case.method == "DELETE" or case.path.endswith(ENDLESS_OR_KEYS)
            if real and "stream" in (case.path_parameters or {}) and not kept:
                case.path_parameters["stream"] = "live"
                case.query = {**(case.query or {}), "key": key}
            asked += 1
            reply = case.call(timeout=HEARD_S if case.path.endswith("/events") else 20)
            wrong = _wrong(case, reply)
            if not wrong and reply.status_code < 300:
                try:
                    case.operation.validate_response(reply)
                except Exception as error:
                    wrong = f"{reply.status_code}: {error}"
            if wrong:
                faults.setdefault(f"{case.method} {case.path} {wrong[:40]}", wrong)

        ask()
    assert asked > 100
    said = log.read_text()
    assert not faults, "\n\n".join(f"{where}\n  {what}" for where, what in faults.items()) + said[-3000:]
    assert "Traceback" not in said, said[-3000:]
