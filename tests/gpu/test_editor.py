"""One stream's edits: newest wins, receipts for what came into force, a state anew where it must be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from moving import picture
from streams import TintModel, TintState

from gpu.editor import PREPARE_S, Editor
from gpu.errors import FrameError, ModelError
from gpu.models.base import EditState
from gpu.types import Edit, Frame, Reading


def test_only_the_newest_wish_is_applied_and_said_with_its_first_frame() -> None:
    model = TintModel()
    editor = Editor(model)
    assert editor.edit([picture(0)])[0].applied is None
    for revision in (1, 2, 3):
        editor.want(Edit(revision, f"words {revision}"))
    said = [editor.edit([picture(i)])[0].applied for i in (1, 2)]
    assert said == [3, None]
    assert [edit.revision for edit in model.edits] == [3]
    assert editor.in_force.revision == 3


def test_a_lost_frame_does_not_lose_the_receipt() -> None:
    broken = [True]

    def once(state: TintState, chunk: Sequence[Frame]) -> None:
        if broken and state.edit.revision:
            broken.pop()
            raise FrameError("lost")

    editor = Editor(TintModel(on_step=once))
    editor.want(Edit(5, "night"))
    with pytest.raises(FrameError):
        editor.edit([picture(0)])
    assert editor.edit([picture(1)])[0].applied == 5


def test_a_new_size_keeps_the_edit_without_a_transition_and_without_a_second_receipt() -> None:
    model = TintModel()
    editor = Editor(model)
    editor.want(Edit(4, "night", transition_ms=900))
    editor.edit([picture(0)])
    edited = editor.edit([picture(1, 176, 144)])[0]
    assert edited.applied is None
    assert [(state.width, state.height) for state in model.opened] == [(320, 240), (176, 144)]
    assert [(edit.revision, edit.transition_ms) for edit in model.edits] == [(4, 900), (4, 0)]


def test_an_edit_the_model_refuses_leaves_the_one_before_in_force() -> None:
    class Choosy(TintModel):
        def set_edit(self, state: object, edit: Edit) -> Reading:  # type: ignore[override]
            if edit.prompt == "impossible":
                raise ModelError("cannot")
            return super().set_edit(state, edit)  # type: ignore[arg-type]

    editor = Editor(Choosy())
    editor.want(Edit(1, "night"))
    editor.edit([picture(0)])
    editor.want(Edit(2, "impossible"))
    with pytest.raises(FrameError, match="revision 2"):
        editor.edit([picture(1)])
    assert editor.in_force.revision == 1
    assert editor.edit([picture(2)])[0].applied is None


@pytest.mark.parametrize("fault", ["count", "size", "time"])
def test_a_model_that_breaks_its_contract_is_found_out(fault: str) -> None:
    class Broken(TintModel):
        def step(self, state: object, chunk: Sequence[Frame]) -> list[Frame]:  # type: ignore[override]
            if fault == "count":
                return []
            if fault == "size":
                return [picture(0, 64, 48)]
            return [picture(9)]

    with pytest.raises((ModelError, FrameError)):
        Editor(Broken()).edit([picture(0)])


class Late(TintModel):
    """Some edits need something made first."""

    def __init__(self) -> None:
        super().__init__()
        self.missing = {"slow"}
        self.asked: list[tuple[str, float]] = []

    def ready_for(self, state: EditState, edit: Edit, wait_s: float = 0.0) -> bool:
        self.asked.append((edit.prompt, wait_s))
        return edit.prompt not in self.missing


def test_a_live_edit_that_is_not_ready_leaves_the_one_before_in_force_until_it_is() -> None:
    model = Late()
    editor = Editor(model, live=True)
    editor.want(Edit(1, "night"))
    assert editor.edit([picture(0)])[0].applied == 1
    editor.want(Edit(2, "slow"))
    assert [editor.edit([picture(i)])[0].applied for i in (1, 2)] == [None, None]
    assert editor.in_force.revision == 1
    model.missing.clear()
    assert [editor.edit([picture(i)])[0].applied for i in (3, 4)] == [2, None]
    assert [edit.revision for edit in model.edits] == [1, 2]


def test_a_newer_live_edit_does_not_wait_for_the_one_before_it() -> None:
    editor = Editor(Late(), live=True)
    editor.want(Edit(1, "slow"))
    editor.edit([picture(0)])
    editor.want(Edit(2, "night"))
    assert editor.edit([picture(1)])[0].applied == 2


def test_offline_an_edit_counts_from_its_frame_however_long_that_takes() -> None:
    editor = Editor(Late())
    editor.want(Edit(1, "slow"))
    assert editor.edit([picture(0)])[0].applied == 1


def test_a_size_is_prepared_for_the_edit_that_is_wanted_or_else_in_force() -> None:
    model = Late()
    editor = Editor(model, live=True)
    editor.want(Edit(1, "slow"))
    editor.prepare(320, 240)
    assert model.asked.pop() == ("slow", PREPARE_S)
    model.missing.clear()
    editor.edit([picture(0)])
    editor.prepare(176, 144)
    assert model.asked.pop() == ("slow", PREPARE_S)
    assert len(model.opened) == 2
