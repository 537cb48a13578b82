"""Which Chromium the tests drive and how it is started. Knows no page."""

from __future__ import annotations

import os
from collections.abc import Callable

from live_page import LivePage

CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)

Opener = Callable[..., LivePage]
