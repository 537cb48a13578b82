"""The OpenAPI document holds every route of the application, and every struct it names."""

from __future__ import annotations

import json
import re

from visitor import serving

from server.openapi import document
from server.routes.route import Route
from server.routes.table import ROUTES


async def test_every_route_of_the_application_is_in_the_document_it_serves() -> None:
    async with serving() as served, served.http.get(served.base + "/openapi.json") as reply:
        shown = await reply.json()
    described = {
        (method.upper(), path) for path, ops in shown["paths"].items() for method in ops if method != "head"
    }
    from server.app import make_app
    from server.config import Config

    routed = {
        (route.method, route.resource.canonical)
        for route in make_app(Config(model="passthrough")).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert described == routed
    assert shown["openapi"] == "3.1.0"


WITHOUT_BODY = {"/jobs/{job}/retry", "/streams/{stream}/key"}


def test_every_reference_leads_to_a_schema_and_every_operation_is_named_once() -> None:
    shown = document(ROUTES, "1.0")
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(shown)))
    assert names <= set(shown["components"]["schemas"])
    assert {"ClientMessage", "ServerMessage", "Problem", "EditMessage"} <= set(shown["components"]["schemas"])
    ids = [op["operationId"] for ops in shown["paths"].values() for op in ops.values()]
    assert len(ids) == len(set(ids)) == len(ROUTES)


def test_routes_that_take_a_body_say_which() -> None:
    for route in ROUTES:
        assert isinstance(route, Route)
        operation = document([route], "1.0")["paths"][route.path][route.method.lower()]
        takes = route.method in ("POST", "PUT", "PATCH") and route.path not in WITHOUT_BODY
        assert ("requestBody" in operation) == takes


def test_a_json_body_is_described_field_by_field() -> None:
    shown = document(ROUTES, "1.0")
    body = shown["paths"]["/edit-video"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = body["$ref"].rpartition("/")[2]
    assert {"videoId", "instruction", "timeline"} <= set(shown["components"]["schemas"][name]["properties"])
