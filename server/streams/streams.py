"""All streams of this server: their settings, their life, who may do what. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Literal

from gpu.errors import RelensError
from gpu.types import Edit
from server.config import Config
from server.errors import ProtocolError
from server.kept.kept import Kept
from server.kept.session_log import SessionLog
from server.listeners import Listeners
from server.metrics import Metrics
from server.places import Places
from server.streams.access import Access
from server.streams.changes import Changes
from server.streams.edit_keeper import EditKeeper
from server.streams.opened import Shared
from server.streams.store import KeptStream, StreamStore
from server.streams.stream import Stream
from server.streams.types import NAME, StreamSettings
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
        log_to: SessionLog | None = None,
    ) -> None:
        """`places`: shared with who else takes some. `log_to`: where what they showed is written down.
        Settings last as long as the server, or for good from `take_up` on."""
        self.access = Access(config)
        self.listeners = Listeners(kept_free=50)  # to how streams fare, over HTTP
        self.rtmp_port = 0  # on which they are published and played by RTMP; 0: they are not
        self._config = config
        self._metrics = metrics
        self._places = places
        self._kept: Kept | None = None  # what follows is there when it is
        self._store: StreamStore | None = None
        self._keeper: EditKeeper | None = None
        self._first: StreamSettings | None = None  # of the stream that is there where nothing can be read
        self._unkept: dict[str, Edit] = {}  # in force since the start, by stream, while nothing is kept
        self._streams: dict[str, Stream] = {}
        self._changing = asyncio.Lock()
        self._changes: Changes[str] = Changes()
        self._shared = Shared(
            config=config,
            workers=workers,
            metrics=metrics,
            executor=executor,
            places=places,
            log_to=log_to,
            viewer_room=lambda: self.viewers < config.max_viewers,
            keep_edit=self._keep_edit,
        )
        metrics.on_scrape(self._refresh)

    @property
    def viewers(self) -> int:
        """Of all streams together; targets are the operator's, and take nobody's place."""
        return sum(stream.viewers for stream in self._streams.values())

    def get(self, name: str) -> Stream | None:
        return self._streams.get(name)

    def all(self) -> list[Stream]:
        return sorted(self._streams.values(), key=lambda stream: stream.name)

    async def put(self, name: str, settings: StreamSettings) -> tuple[Stream, bool]:
        """The stream of this name with these settings, and whether it is new. What is live stays live. Raises
        as `change`."""
        return await self.change(name, lambda _: settings)

    async def change(
        self, name: str, make: Callable[[StreamSettings | None], StreamSettings]
    ) -> tuple[Stream, bool]:
        """`put` with what `make` makes of the settings there are (None: no such stream), so that of two
        changes at once the second sees the first.

        Raises ProtocolError for a name that is none, KeptError where it cannot be kept, and as `make`; then
        nothing is changed."""
        if NAME.fullmatch(name) is None:
            raise ProtocolError(
                f"{name[:80]!r} is no name of a stream: 1 to 63 of a-z, 0-9, - and _, not - or _ first"
            )
        async with self._changing:
            stream = self._streams.get(name)
            settings = make(stream.settings if stream is not None else None)
            await self._write("put", name, settings)
            if stream is None:
                stream = self._streams[name] = Stream(name, settings, self._shared)
                self._changes.tell(name)
                return stream, True
            stream.set_settings(settings)
            self._changes.tell(name)
            return stream, False

    async def delete(self, name: str) -> bool:
        """End it for good; False where there is none. Raises KeptError where it cannot be forgotten."""
        async with self._changing:
            if name not in self._streams:
                return False
            await self._write("delete", name)
            stream = self._streams.pop(name)
            self._unkept.pop(name, None)
            if self._keeper is not None:
                self._keeper.forget(name)
        self._changes.tell(name)
        await stream.end("deleted", "the stream was deleted")
        return True

    def follow(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """`callback` hears the name of each stream made, set or deleted; what is returned ends that."""
        return self._changes.subscribe(callback)

    async def start(self) -> None:
        """Where nothing was taken up so far there is one stream, with a key of its own."""
        async with self._changing:
            if not self._streams:
                self._begin()

    async def close(self) -> None:
        """End all of them, and write down what is in force; bounded in time."""
        await asyncio.gather(
            *(stream.end("going-away", "the server stops: connect again") for stream in self.all())
        )
        if self._keeper is not None:
            await self._keeper.close()

    def _begin(self) -> None:
        """There is one stream, at the first start ever or where nothing can be read."""
        self._first = StreamSettings(key=new_key())
        self._hear_of(KeptStream(FIRST, self._first, None))

    async def take_up(self, kept: Kept) -> None:
        """What is kept, at the start or once it is there. It wins over what was set meanwhile, for that was
        set without knowing it; what was made meanwhile is kept from now on; nobody who publishes or watches
        is ended.

        Raises KeptError; then nothing that was there is changed, and it may be called again."""
        store = StreamStore(kept.database)
        async with self._changing:
            found = {one.name: one for one in await kept.run(store.all)}
            if not found and not self._streams:
                self._begin()
            new = [stream for stream in self.all() if stream.name not in found]
            unused = [stream for stream in new if found and self._is_unused(stream)]
            for stream in new:
                if stream not in unused:
                    await kept.run(store.add, stream.name, stream.settings)
            if len(new) > len(unused):  # another server may have been first
                found = {one.name: one for one in await kept.run(store.all)}
            self._kept, self._store, self._keeper = kept, store, EditKeeper(kept, store)
            for one in found.values():
                self._hear_of(one)
            for stream in unused:
                del self._streams[stream.name]
                self._changes.tell(stream.name)
            for name, edit in self._unkept.items():
                self._keeper.put(name, edit)
            self._unkept.clear()
        log.info("streams are kept: %s", ", ".join(sorted(self._streams)))
        for stream in unused:
            await stream.end("deleted", "there is no such stream, as the database knows now that it is back")

    def _is_unused(self, stream: Stream) -> bool:
        """The one that is there where nothing can be read, and nobody did anything with."""
        return stream.settings is self._first and stream.state == "idle" and stream.name not in self._unkept

    def _hear_of(self, kept: KeptStream) -> None:
        """It is kept; a stream of the name that is there already goes on as that says."""
        stream = self._streams.get(kept.name)
        if stream is None:
            self._streams[kept.name] = Stream(kept.name, kept.settings, self._shared, kept.edit)
        else:
            if stream.settings != kept.settings and stream.settings is not self._first:
                log.warning("stream %s: what was set while the database was away is left out", kept.name)
            stream.set_settings(kept.settings)
            if kept.edit is not None and kept.name not in self._unkept:
                try:
                    stream.edit(kept.edit)
                except RelensError as error:
                    log.warning("stream %s: its edit cannot be put in force: %s", kept.name, error)
        self._changes.tell(kept.name)

    def _keep_edit(self, name: str, edit: Edit) -> None:
        if self._keeper is not None:
            self._keeper.put(name, edit)
        else:
            self._unkept[name] = edit

    async def _write(self, what: Literal["add", "put", "delete"], *values: Any) -> None:
        if self._kept is not None and self._store is not None:
            await self._kept.run(getattr(self._store, what), *values)

    def _refresh(self) -> None:
        streams = self.all()
        self._metrics.streams_now(
            [stream.state for stream in streams],
            [stream.publisher.kind for stream in streams if stream.publisher is not None],
            [kind for stream in streams for kind in stream.viewer_kinds()],
        )
