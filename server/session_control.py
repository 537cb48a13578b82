"""What a visitor steers of a session: the edit in force, the pause, the place in a film. Loop thread only.

The data channel's EditControl. Knows neither the channel nor the peer.
"""

from __future__ import annotations

from gpu.errors import DeviceError
from gpu.models.base import EditModel
from gpu.pipeline import Pipeline
from gpu.types import Edit, Reading
from server.errors import ProtocolError
from server.hold_back import HoldBack
from server.recording import Recording
from server.session_film import SessionFilm
from server.session_parts import put_edit

NOT_OPEN = "the session is not open yet: send the edit again"


class SessionControl:
    """Before `begin` there is nothing to steer."""

    def __init__(self, audio: HoldBack, film: SessionFilm | None, recording: Recording) -> None:
        """`audio`: of what the peer sends. `film`: what is edited in its place."""
        self._audio, self._film, self._recording = audio, film, recording
        self._pipeline: Pipeline | None = None
        self._model: EditModel | None = None
        self.paused = False  # what the peer sends; a film stands by itself

    def begin(self, pipeline: Pipeline, model: EditModel) -> None:
        """They are open."""
        self._pipeline, self._model = pipeline, model

    @property
    def moves(self) -> bool:
        """Whether new pictures are shown: nobody paused, and a film has not come to its end."""
        return self._film.position().playing if self._film is not None else not self.paused

    def read(self, prompt: str) -> Reading:
        if self._model is None:
            raise DeviceError(NOT_OPEN)
        return self._model.read(prompt)

    def runs(self) -> Edit | None:
        return self._film.runs() if self._film is not None else None

    def set_edit(self, edit: Edit) -> Reading:
        if self._pipeline is None or self._model is None:
            raise DeviceError(NOT_OPEN)
        if self._film is not None and edit.revision > 0:
            self._film.edited()
        return put_edit(edit, self._model, self._pipeline, self._recording)

    def seek(self, at_s: float) -> None:
        if self._film is None:
            raise ProtocolError("this session edits what you send: only a film's preview can be sought in")
        self._film.seek(at_s)

    def pause(self) -> None:
        if self._film is not None:
            self._film.pause()
        elif self._pipeline is not None and not self.paused:
            self.paused = True
            self._audio.clear()
            self._pipeline.pause()

    def resume(self) -> None:
        if self._film is not None:
            self._film.resume()
        elif self._pipeline is not None and self.paused:
            self.paused = False
            self._pipeline.resume()
