"""A session's film: what is edited in the place of what its peer sends, with its sound.

Owns the player and what encodes the sound. Knows no peer, no data channel. Loop thread, but for `close`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gpu.errors import RelensError
from gpu.film.play import FilmPlayer, Position
from gpu.pipeline import Pipeline
from gpu.types import Edit
from server import protocol
from server.hold_back import HoldBack
from server.preview_sound import PreviewSound


class SessionFilm:
    """Its pictures go to the pipeline, its sound to where sound waits for pictures."""

    def __init__(self, player: FilmPlayer, audio: HoldBack, on_silent: Callable[[str], None]) -> None:
        """`player` is closed with it. `on_silent`: once, why it plays on without its sound."""
        self._player, self._audio, self._on_silent = player, audio, on_silent
        self._sound: PreviewSound | None = None

    def start(self, pipeline: Pipeline, heard: bool, on_error: Callable[[RelensError], None]) -> None:
        """`heard`: whether the peer takes sound. `on_error`: of the end, on the player's thread."""

        def follow(edit: Edit) -> None:
            """An edit of the film's timeline takes force: nobody asked for it here."""
            pipeline.set_edit(replace(edit, revision=-1))

        if heard:
            self._sound = PreviewSound(self._audio.push, self._on_silent)
        self._player.start(pipeline.show, follow, on_error, self._sound)

    def first_edit(self) -> Edit | None:
        """Of its timeline, where it begins."""
        return self._player.first_edit()

    def runs(self) -> Edit | None:
        """Of its timeline, as long as that is followed."""
        return self._player.followed()

    def edited(self) -> None:
        """Somebody asked for an edit of their own."""
        self._player.edited()

    def seek(self, at_s: float) -> None:
        self._player.seek(at_s)
        self._hush()

    def pause(self) -> None:
        self._player.pause()
        self._hush()

    def resume(self) -> None:
        self._player.resume()

    def position(self) -> Position:
        return self._player.position()

    def message(self) -> protocol.Position:
        at = self.position()
        return protocol.Position(at=round(at.at, 3), duration=round(at.duration, 3), playing=at.playing)

    def fall_silent(self) -> int:
        """Nothing is heard of it from now on. Returns how many packets were dropped so far."""
        if self._sound is None:
            return 0
        self._sound.close()
        return self._sound.dropped

    def close(self) -> None:
        """Blocks, bounded in time. Any thread; after `fall_silent`."""
        self._player.close()

    def _hush(self) -> None:
        """Nothing is heard of the place that was left."""
        if self._sound is not None:
            self._sound.hush()
            self._audio.skip()
