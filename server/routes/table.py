"""Every route of the server, in the order they are tried."""

from __future__ import annotations

from server.routes import operators, page, sessions
from server.routes.route import Route

ROUTES: tuple[Route, ...] = (*sessions.ROUTES, *operators.ROUTES, *page.ROUTES)
