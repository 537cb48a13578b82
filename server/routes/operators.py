"""Models, readings, configuration, health and metrics: what pages and operators ask."""

from __future__ import annotations

import msgspec
from aiohttp import web

from gpu.errors import RelensError
from gpu.history import EditHistory
from gpu.models.base import EditModel
from gpu.types import Edit, ModelSpec, Reading
from server import protocol
from server.api import Health, ModelList, PageConfig, ReadingInfo, model_info, page_config, reading_info
from server.metrics import CONTENT_TYPE
from server.openapi import document
from server.problem import problem, problem_of
from server.routes.route import JSON, Answer, Parameter, Route
from server.state import STATE, ServerState


async def list_models(request: web.Request) -> web.Response:
    state = request.app[STATE]
    return _json(
        ModelList(
            models=[
                model_info(
                    spec,
                    spec.name == state.workers.default,
                    _device(state, spec.name),
                    state.workers.why,
                    _path(state, spec),
                )
                for spec in state.workers.specs
            ]
        )
    )


async def understand(request: web.Request) -> web.Response:
    state = request.app[STATE]
    prompt, running = request.query.get("prompt", ""), request.query.get("running", "")
    longest = max(len(prompt), len(running))
    if longest > protocol.MAX_PROMPT_CHARS:
        return problem(
            400,
            "prompt",
            "The instruction is too long",
            f"it has {longest} characters",
            f"At most {protocol.MAX_PROMPT_CHARS} are taken.",
        )
    strength = _share(request.query.get("strength", "1"))
    if strength is None:
        return problem(400, "strength", "That is no strength", "strength must be a number", "Give 0 to 1.")
    try:
        worker = await state.workers.get(request.query.get("model", ""))
        running_edit = Edit(prompt=running, strength=strength)
        reading = await state.workers.read(_read, worker.model, prompt, running_edit)
    except RelensError as error:
        return problem_of(error)
    return _json(reading_info(reading))


def _read(model: EditModel, prompt: str, running: Edit) -> Reading:
    """After the edit that runs: "more" is more of that."""
    history = EditHistory()
    history.add(running)
    asked = Edit(prompt=prompt)
    settled = history.settle(asked, model.read)
    of_others = settled.asked.steps_back or settled.asked.redoes  # which are not told here
    return settled.asked if of_others else settled.reading


def _share(text: str) -> float | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


async def config(request: web.Request) -> web.Response:
    state = request.app[STATE]
    default = state.workers.default
    return _json(page_config(state.config, default, _device(state, default), state.version))


async def healthz(request: web.Request) -> web.Response:
    """The process answers: nothing more is asked of it."""
    return _json(Health(status="alive", version=request.app[STATE].version))


async def readyz(request: web.Request) -> web.Response:
    state = request.app[STATE]
    if state.sessions.draining:
        return _not_ready("the server is going down", "Send visitors to another one.")
    if state.workers.loaded(state.workers.default) is None:
        return _not_ready("the model is not loaded yet", "Wait.")
    keeping = state.keeping
    waits_for = keeping.problem if state.streams.access.is_operator(request) else keeping.told
    return _json(Health(status="ready", version=state.version, waits_for=waits_for))


async def metrics(request: web.Request) -> web.Response:
    body = request.app[STATE].metrics.render()
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


async def openapi(request: web.Request) -> web.Response:
    from server.routes.table import ROUTES as every_route  # the table lists this route too

    return web.json_response(document(every_route, request.app[STATE].version))


def _device(state: ServerState, name: str) -> str:
    worker = state.workers.loaded(name)
    return worker.model.device if worker is not None else ""


def _path(state: ServerState, spec: ModelSpec) -> str:
    return state.media.route(spec, _device(state, spec.name), state.config.video_codecs[0]).words


def _not_ready(detail: str, remedy: str) -> web.Response:
    return problem(503, "not-ready", "Not ready", detail, remedy, {"Retry-After": "5"})


def _json(body: msgspec.Struct) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), content_type=JSON, headers={"Cache-Control": "no-store"}
    )


MODEL = Parameter("model", "The model; without it the server's default")
ROUTES = (
    Route(
        "GET",
        "/models",
        list_models,
        "The models and their presets",
        (Answer(200, "All of them", JSON, ModelList),),
    ),
    Route(
        "GET",
        "/understand",
        understand,
        "What a model takes an instruction for",
        (Answer(200, "The reading", JSON, ReadingInfo),),
        (
            MODEL,
            Parameter("prompt", "The instruction"),
            Parameter("running", "The instruction in force, of which it may ask for more or less"),
            Parameter("strength", "The strength of that, 0 to 1", kind="number"),
        ),
        problems=(400, 500, 503),
    ),
    Route(
        "GET",
        "/config.json",
        config,
        "What the page must know before it connects",
        (Answer(200, "ICE servers, model, limits, version", JSON, PageConfig),),
    ),
    Route("GET", "/healthz", healthz, "Whether the process answers", (Answer(200, "It does", JSON, Health),)),
    Route(
        "GET",
        "/readyz",
        readyz,
        "Whether visitors may be sent here",
        (Answer(200, "They may; `waitsFor` says why there are no films yet, if so", JSON, Health),),
        problems=(503,),
    ),
    Route("GET", "/metrics", metrics, "Prometheus metrics", (Answer(200, "Text format", "text/plain"),)),
    Route("GET", "/openapi.json", openapi, "This document", (Answer(200, "OpenAPI 3.1", JSON),)),
)
