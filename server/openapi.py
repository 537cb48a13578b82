"""Writes the OpenAPI 3.1 document from the route table and the msgspec structs. Knows no handler."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from server import protocol
from server.problem import CONTENT_TYPE as PROBLEM_JSON
from server.problem import Problem
from server.routes.route import Answer, Parameter, Route

EVENTS = (
    "text/event-stream"  # OpenAPI 3.1 has no schema for one event of many: the summary says what they hold
)
DATA_CHANNEL = {"ClientMessage": protocol.ClientMessage, "ServerMessage": protocol.ServerMessage}


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The whole document; the data channel's messages are among its schemas."""
    routes = list(routes)
    said = [body for route in routes for body in (route.body, *(answer.body for answer in route.answers))]
    bodies = list(dict.fromkeys(body for body in said if body is not None))
    types = [*bodies, Problem, *DATA_CHANNEL.values()]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    components.update(zip(DATA_CHANNEL, schemas[-len(DATA_CHANNEL) :], strict=True))
    references = dict(zip((*bodies, Problem), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "relens",
            "version": version,
            "description": "Edits live video by instruction. The data channel `edits` of a session carries "
            "ClientMessage and ServerMessage: JSON as text, MessagePack as binary.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _operation(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", route.handler.__name__),
        "summary": route.summary,
        "responses": {str(a.status): _response(a, references) for a in route.answers},
    }
    if route.parameters:
        operation["parameters"] = [_parameter(p) for p in route.parameters]
    if route.takes:
        schema = references[route.body] if route.body is not None else {"type": "string"}
        content = {route.takes: {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    for status in route.problems:
        operation["responses"][str(status)] = {
            "description": _phrase(status),
            "content": {PROBLEM_JSON: {"schema": references[Problem]}},
        }
    return operation


def _response(answer: Answer, references: dict[Any, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.meaning}
    if answer.content_type:
        schema = references[answer.body] if answer.body is not None else {"type": "string"}
        response["content"] = {
            answer.content_type: {} if answer.content_type == EVENTS else {"schema": schema}
        }
    if answer.headers:
        response["headers"] = {name: {"schema": {"type": "string"}} for name in answer.headers}
    return response


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required,
        "description": parameter.meaning,
        "schema": {"type": parameter.kind},
    }


def _phrase(status: int) -> str:
    """HTTP's own, or tus's for its one."""
    return "Checksum Mismatch" if status == 460 else HTTPStatus(status).phrase
