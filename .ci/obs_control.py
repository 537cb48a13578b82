"""Requests to OBS by its websocket (obs-websocket protocol 5), and what its sources show."""

from __future__ import annotations

import base64
import io
from typing import Any

import aiohttp
import numpy as np
from PIL import Image


class Failed(Exception):
    """What did not happen, in a sentence."""


class Control:
    """Requests to OBS, one after the other."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0

    async def begin(self) -> None:
        await self._socket.receive_json(timeout=10)  # Hello
        await self._socket.send_json({"op": 1, "d": {"rpcVersion": 1, "eventSubscriptions": 0}})
        await self._socket.receive_json(timeout=10)  # Identified

    async def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        self._count += 1
        asked = {"requestType": kind, "requestId": str(self._count), "requestData": data}
        await self._socket.send_json({"op": 6, "d": asked})
        answer = (await self._socket.receive_json(timeout=20))["d"]
        if not answer["requestStatus"]["result"]:
            raise Failed(f"OBS refuses {kind}: {answer['requestStatus'].get('comment', '')}")
        return dict(answer.get("responseData") or {})

    async def picture(self, source: str) -> np.ndarray[Any, Any]:
        """What a source shows now: [H, W, 3]."""
        size = {"imageWidth": 320, "imageHeight": 180}
        got = await self.ask("GetSourceScreenshot", sourceName=source, imageFormat="png", **size)
        data = base64.b64decode(got["imageData"].partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int16)
