"""Models, readings, configuration, health and metrics: what pages and operators ask."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from gpu.errors import RelensError
from gpu.types import ModelSpec
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
    prompt = request.query.get("prompt", "")
    if len(prompt) > protocol.MAX_PROMPT_CHARS:
        return problem(
            400,
            "prompt",
            "The instruction is too long",
            f"it has {len(prompt)} characters",
            f"At most {protocol.MAX_PROMPT_CHARS} are taken.",
        )
    try:
        worker = await state.workers.get(request.query.get("model", ""))
    except RelensError as error:
        return problem_of(error)
    # Asked at each key stroke: in a thread, so that the streams' packets do not wait for it.
    reading = await asyncio.get_running_loop().run_in_executor(
        state.workers.executor, worker.model.read, prompt
    )
    return _json(reading_info(reading))


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
    return _json(Health(status="ready", version=state.version, waits_for=state.keeping.problem))


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
        (MODEL, Parameter("prompt", "The instruction")),
        problems=(400, 500),
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
