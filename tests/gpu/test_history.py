"""What "undo that" goes back to, and what "more" is more of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.history import MOST_EDITS, EditHistory, settled_in_order
from gpu.nano.text import TextTower
from gpu.types import Change, Edit, Reading

TOWER = TextTower.load()


@pytest.fixture
def tower() -> TextTower:
    return TOWER


def test_the_same_words_again_are_the_same_edit() -> None:
    history = EditHistory()
    for revision, prompt, strength in ((1, "rain", 1.0), (2, "night", 1.0), (3, "night", 0.4)):
        history.add(Edit(revision, prompt, strength))
    assert history.before(Edit(4, "undo that", 0.9, 10)) == Edit(4, "rain", 1.0, 10)


def test_of_many_edits_the_oldest_are_forgotten() -> None:
    history = EditHistory()
    for revision in range(MOST_EDITS + 5):
        history.add(Edit(revision, f"edit {revision}"))
    seen = []
    for _ in range(MOST_EDITS + 1):
        seen.append(history.before(Edit(99, "undo that")).prompt)
        history.step_back()
    assert seen[0] == f"edit {MOST_EDITS + 3}"
    assert seen[MOST_EDITS - 2] == "edit 5"
    assert seen[MOST_EDITS - 1 :] == ["", ""]


def test_asking_what_was_before_undoes_nothing() -> None:
    history = EditHistory()
    for revision, prompt in enumerate(("rain", "night", "sepia")):
        history.add(Edit(revision, prompt))
    undo = Edit(4, "undo that")
    assert history.before(undo).prompt == "night"
    assert history.before(undo).prompt == "night"
    history.step_back()
    assert history.before(undo).prompt == "rain"


def in_force(tower: TextTower, *prompts: str) -> list[tuple[str, float]]:
    """What each prompt leaves in force after those before it: words and strength."""
    made: list[tuple[str, float]] = []
    for settled in settled_in_order([Edit(i, prompt) for i, prompt in enumerate(prompts)], tower.read):
        made.append((settled.edit.prompt, settled.edit.strength) if settled.reading.understood else made[-1])
    return made


def test_less_lowers_the_strength_and_more_takes_that_back(tower: TextTower) -> None:
    assert in_force(tower, "make it sepia", "less", "a bit less", "a bit more", "more") == [
        ("make it sepia", strength) for strength in (1.0, 0.65, 0.53, 0.65, 1.0)
    ]


def test_at_full_strength_more_is_more_of_each_edit_until_there_is_no_more(tower: TextTower) -> None:
    edits = [Edit(i, prompt) for i, prompt in enumerate(("a bit of fog", "more", "more", "more"))]
    settled = list(settled_in_order(edits, tower.read))
    assert [one.edit.prompt for one in settled] == ["a bit of fog", "fog 62%", "fog 95%", "fog 100%"]
    (last,) = list(settled_in_order([*edits, Edit(9, "even more")], tower.read))[4:]
    assert last.reading.understood
    assert last.reading.note == "already at its strongest"
    assert (last.edit.prompt, last.edit.revision) == ("fog 100%", 9)


def test_it_never_falls_to_nothing_by_degrees(tower: TextTower) -> None:
    made = in_force(tower, "make it sepia", *["much less"] * 6)
    assert made[-1] == ("make it sepia", 0.1)


def test_from_hardly_anything_it_grows(tower: TextTower) -> None:
    made = in_force(tower, "make it sepia", "2% strength", "a bit stronger", "a bit stronger")
    assert [strength for _, strength in made] == [1.0, 0.02, 0.1, 0.12]
    made = in_force(tower, "rain at 2%", "twice the rain", "rain at 0%", "a bit more rain")
    assert [prompt for prompt, _ in made] == ["rain at 2%", "rain 4%", "", "rain 40%"]


def test_one_of_several_is_changed_by_name(tower: TextTower) -> None:
    made = in_force(tower, "make it a rainy night", "less rain", "much more rain", "turn the night down")
    assert [prompt for prompt, _ in made[1:]] == [
        "night 85% + rain 55%", "rain 100% + night 85%", "rain 100% + night 55%",
    ]  # fmt: skip
    assert {strength for _, strength in made} == {1.0}


def test_one_of_several_is_taken_away_by_name(tower: TextTower) -> None:
    assert in_force(tower, "make it a rainy night", "remove the rain", "no more night") == [
        ("make it a rainy night", 1.0), ("night 85%", 1.0), ("", 1.0),
    ]  # fmt: skip


def test_a_night_can_be_darker(tower: TextTower) -> None:
    made = [prompt for prompt, _ in in_force(tower, "make it night", "even darker", "even darker")]
    assert made == ["make it night", "night 100%", "night 100% + darker 40%"]


def test_also_goes_beside_what_is_in_force(tower: TextTower) -> None:
    made = in_force(
        tower, "also make it rain", "make it night", "also make it rain", "less", "a bit of rain too"
    )
    assert made == [
        ("rain 85%", 1.0), ("make it night", 1.0), ("night 85% + rain 85%", 1.0),
        ("night 85% + rain 85%", 0.65), ("night 85% + rain 40%", 0.65),
    ]  # fmt: skip


@pytest.mark.parametrize("prompt", ["also remove the rain", "remove the rain too", "and also no more rain"])
def test_what_is_also_taken_away_leaves_the_rest(tower: TextTower, prompt: str) -> None:
    assert in_force(tower, "make it a rainy night", prompt)[1] == ("night 85%", 1.0)


@pytest.mark.parametrize("prompt", ["not enough", "not strong enough", "that's not enough"])
def test_not_enough_is_more_and_not_the_way_back(tower: TextTower, prompt: str) -> None:
    assert in_force(tower, "a bit of fog", prompt)[1] == ("fog 62%", 1.0)


def test_with_nothing_in_force_it_says_so_and_what_to_do(tower: TextTower) -> None:
    for prompts in (["more"], ["undo", "stronger"], ["make it rain", "back to normal", "weaker"]):
        edits = [Edit(i, prompt) for i, prompt in enumerate(prompts)]
        last = list(settled_in_order(edits, tower.read))[-1]
        assert not last.reading.understood
        assert "ask for an edit first" in last.reading.note


def test_what_does_not_run_goes_beside_what_does(tower: TextTower) -> None:
    made = in_force(tower, "make it sepia", "slightly darker", "slightly darker")
    assert [prompt for prompt, _ in made] == [
        "make it sepia", "sepia 100% + darker 40%", "sepia 100% + darker 49%",
    ]  # fmt: skip


def test_what_was_undone_is_brought_back_until_something_else_is_asked_for(tower: TextTower) -> None:
    steps = ["make it night", "less", "undo that", "undo that", "redo", "redo"]
    assert in_force(tower, *steps) == [
        ("make it night", 1.0), ("make it night", 0.65), ("make it night", 1.0), ("", 1.0),
        ("make it night", 1.0), ("make it night", 0.65),
    ]  # fmt: skip
    for prompts in (
        [*steps, "redo"],
        ["sepia", "undo that", "make it snow", "redo"],
        ["redo"],
        ["undo", "redo"],
    ):
        last = list(settled_in_order([Edit(i, prompt) for i, prompt in enumerate(prompts)], tower.read))[-1]
        assert not last.reading.understood
        assert last.reading.note.startswith("nothing was undone")


def test_redo_after_undo_is_what_was_in_force_before_the_source(tower: TextTower) -> None:
    assert in_force(tower, "make it night", "undo", "redo")[-1] == ("make it night", 1.0)


def test_a_step_back_that_was_refused_undid_nothing(tower: TextTower) -> None:
    history = EditHistory()
    for edit in (Edit(1, "make it rain"), Edit(2, "make it night"), Edit(3, "undo that")):
        history.keep(history.settle(edit, tower.read))
    history.drop(3)
    assert not history.settle(Edit(4, "redo"), tower.read).reading.understood
    assert history.settle(Edit(4, "undo that"), tower.read).edit.prompt == "make it rain"


def test_less_can_be_undone(tower: TextTower) -> None:
    made = in_force(tower, "make it night", "make it sepia", "less", "undo that", "undo that")
    assert made[2:] == [("make it sepia", 0.65), ("make it sepia", 1.0), ("make it night", 1.0)]


@pytest.mark.parametrize("refused", [
    Edit(3, "undo that"), Edit(3, "make it night", 0.4), Edit(3, "less"), Edit(3, "make it snow"),
])  # fmt: skip
def test_what_is_refused_after_all_leaves_no_trace(tower: TextTower, refused: Edit) -> None:
    history = EditHistory()
    for edit in (Edit(1, "make it rain"), Edit(2, "make it night"), refused):
        history.keep(history.settle(edit, tower.read))
    history.drop(2)
    history.drop(3)
    more = history.settle(Edit(4, "less"), tower.read)
    assert (more.edit.prompt, more.edit.strength) == ("make it night", 0.65)
    assert history.before(Edit(4, "undo that")).prompt == "make it rain"


def test_what_comes_out_stands_by_itself(tower: TextTower) -> None:
    prompts = ("make it a rainy night", "more rain", "half of that", "undo that", "less night", "50%")
    for prompt, _ in in_force(tower, *prompts):
        assert not tower.read(prompt).hangs
        assert tower.read(prompt).understood


_SAID = (
    "more less a bit much rain fog night blur darker half of that 50% turn it down up remove the no undo not"
    " redo add off so also make it background me and + , (background) 0% 100% stronger red things blue snow"
    " to max cartoon brighter 200%"
)
_PROMPT = st.lists(st.sampled_from(_SAID.split()), min_size=1, max_size=5).map(" ".join)


@given(st.lists(_PROMPT, max_size=6))
def test_whatever_is_said_what_is_in_force_stands_by_itself(prompts: list[str]) -> None:
    edits = [Edit(i, prompt) for i, prompt in enumerate(prompts)]
    settled = [one for one in settled_in_order(edits, TOWER.read) if one.reading.understood]
    for one in settled:
        alone = TOWER.read(one.edit.prompt)
        assert alone.understood
        assert not alone.hangs
        assert {(part.name, part.region) for part in alone.parts} == {
            (part.name, part.region) for part in one.reading.parts
        }
        assert 0 <= one.edit.strength <= 1
    again = settled_in_order([one.edit for one in settled], TOWER.read)
    assert [one.edit for one in again] == [one.edit for one in settled]


def test_what_nobody_could_read_is_read_again(tower: TextTower) -> None:
    history = EditHistory()
    for revision, prompt in enumerate(("make it sepia", "less", "more of that", "half of it")):
        history.add(Edit(revision, prompt))
    assert history.read_again(tower.read) == Edit(3, "make it sepia", 0.5)


def test_less_said_twice_before_anybody_could_read_it_counts_twice(tower: TextTower) -> None:
    def unread(prompt: str) -> Reading:
        return Reading((), 0.0, label=prompt, is_read=False)

    history = EditHistory()
    said = [
        ("make it sepia", 0.5),
        ("make it sepia", 0.7),
        ("make it sepia", 1.0),
        ("less", 1.0),
        ("less", 1.0),
    ]
    for revision, (prompt, strength) in enumerate(said):
        history.keep(history.settle(Edit(revision, prompt, strength), unread))
    assert history.has_unread
    assert history.read_again(tower.read) == Edit(4, "make it sepia", 0.42)
    assert not history.has_unread
    assert history.before(Edit(5)).strength == 0.65


def test_a_model_without_edits_of_its_own_changes_its_strength_only() -> None:
    def read(prompt: str) -> Reading:
        if prompt == "less":
            return Reading((), 0.0, understood=False, change=Change(0.5))
        return Reading((), 1.0, label=prompt)

    edits = [Edit(1, "dress me as a king"), Edit(2, "less"), Edit(3, "less")]
    made = [settled.edit for settled in settled_in_order(edits, read)]
    assert [(edit.prompt, edit.strength) for edit in made] == [
        ("dress me as a king", 1.0), ("dress me as a king", 0.5), ("dress me as a king", 0.25),
    ]  # fmt: skip
