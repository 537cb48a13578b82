"""All streams of this server: their settings, their life, who may do what. Knows no HTTP."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from concurrent.futures import Executor

from gpu.types import Edit
from server.config import Config
from server.kept.kept import Kept
from server.metrics import Metrics
from server.places import Places
from server.streams.access import Access, same
from server.streams.changes import Changes
from server.streams.opened import Shared
from server.streams.stream import Stream
from server.streams.types import StreamSettings
from server.workers import Workers

log = logging.getLogger(__name__)

FIRST = "live"
KEY_BYTES = 12


def new_key() -> str:
    return secrets.token_urlsafe(KEY_BYTES)


class Streams:
    """The registry. Loop thread only."""

    def __init__(
        self,
        config: Config,
        workers: Workers,
        metrics: Metrics,
        executor: Executor,
        places: Places,
        kept: Kept | None = None,
    ) -> None:
        """`places`: shared with who else takes some. `kept` None: settings last as long as the server."""
        self.access = Access(config)
        self.listeners = 0  # to how streams fare, over HTTP
        self._config = config
        self._metrics = metrics
        self._places = places
        self._streams: dict[str, Stream] = {}
        self._changes: Changes[str] = Changes()
        self._shared = Shared(
            config=config,
            workers=workers,
            metrics=metrics,
            executor=executor,
            places=places,
            log_to=kept.session_log if kept is not None else None,
            viewer_room=lambda: self.viewers < config.max_viewers,
            keep_edit=self._keep_edit,
        )

    @property
    def viewers(self) -> int:
        """Of all streams together."""
        return sum(stream.viewers for stream in self._streams.values())

    def get(self, name: str) -> Stream | None:
        return self._streams.get(name)

    def all(self) -> list[Stream]:
        return sorted(self._streams.values(), key=lambda stream: stream.name)

    async def put(self, name: str, settings: StreamSettings) -> tuple[Stream, bool]:
        """The stream of this name with these settings, and whether it is new. What is live stays live."""
        stream = self._streams.get(name)
        if stream is not None:
            stream.set_settings(settings)
            self._changes.tell(name)
            return stream, False
        stream = self._streams[name] = Stream(name, settings, self._shared)
        self._changes.tell(name)
        return stream, True

    async def delete(self, name: str) -> bool:
        """End it for good; False where there is none."""
        stream = self._streams.pop(name, None)
        if stream is None:
            return False
        self._changes.tell(name)
        await stream.end("deleted", "the stream was deleted")
        return True

    def check_key(self, stream: Stream, token: str) -> bool:
        """Whether `token` lets publish; unlike `access`, without a limit."""
        return same(token, stream.settings.key)

    def check_view(self, stream: Stream, token: str) -> bool:
        """Whether `token` lets watch; unlike `access`, without a limit."""
        return not stream.settings.view_key or same(token, stream.settings.view_key)

    def follow(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """`callback` hears the name of each stream made, set or deleted; what is returned ends that."""
        return self._changes.subscribe(callback)

    async def start(self) -> None:
        """Take up what is kept. At the first start ever there is one stream, with a key of its own."""
        if not self._streams:
            await self.put(FIRST, StreamSettings(key=new_key()))

    async def close(self) -> None:
        """End all of them; bounded in time."""
        for stream in self.all():
            await stream.end("going-away", "the server stops: connect again")

    def _keep_edit(self, name: str, edit: Edit) -> None:
        pass
