"""What is steered before a session is open, and whether what it shows moves; over WebRTC: test_session."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu.errors import DeviceError
from gpu.film.play import FilmPlayer
from gpu.types import Edit
from server.errors import ProtocolError
from server.hold_back import HoldBack
from server.recording import Recording
from server.session_control import SessionControl
from server.session_film import SessionFilm
from tests.gpu.film.small_film import make_film


def control(film: SessionFilm | None = None) -> SessionControl:
    return SessionControl(HoldBack(lambda _: None), film, Recording(None, "a-session"))


def test_before_it_is_open_edits_are_refused_with_what_to_do_and_nothing_pauses() -> None:
    of = control()
    for ask in (lambda: of.read("night"), lambda: of.set_edit(Edit(1, "night"))):
        with pytest.raises(DeviceError, match="send the edit again"):
            ask()
    of.pause()
    of.resume()
    assert (of.moves, of.paused, of.runs()) == (True, False, None)


def test_what_a_peer_sends_cannot_be_sought_in() -> None:
    with pytest.raises(ProtocolError, match="only a film's preview"):
        control().seek(1.0)


async def test_a_film_stands_by_itself_and_is_sought_in(tmp_path: Path) -> None:
    player = FilmPlayer(make_film(tmp_path / "film.mp4", 50))
    film = SessionFilm(player, HoldBack(lambda _: None), lambda _: None)
    try:
        of = control(film)
        assert of.moves
        of.pause()
        assert (of.moves, of.paused) == (False, False)
        of.seek(1.0)
        assert film.message().at == 1.0
        assert not film.message().playing
        of.resume()
        assert of.moves
        assert film.fall_silent() == 0, "it was never begun, and is heard by nobody"
    finally:
        film.close()
