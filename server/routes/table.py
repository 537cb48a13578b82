"""Every route of the server, in the order they are tried."""

from __future__ import annotations

from server.routes import (
    files,
    hls,
    job_events,
    jobs,
    operators,
    page,
    previews,
    sessions,
    stream_events,
    streams,
    videos,
    whep,
    whip,
)
from server.routes.route import Route

ROUTES: tuple[Route, ...] = (
    *sessions.ROUTES,
    *files.ROUTES,
    *videos.ROUTES,
    *jobs.ROUTES,
    *job_events.ROUTES,
    *hls.ROUTES,
    *previews.ROUTES,
    *streams.ROUTES,
    *stream_events.ROUTES,
    *whip.ROUTES,
    *whep.ROUTES,
    *operators.ROUTES,
    *page.ROUTES,
)
