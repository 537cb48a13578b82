"""A clip edited in one go."""

from __future__ import annotations

import numpy as np
from moving import picture, same
from streams import TintModel

from gpu.models.passthrough import PassthroughModel
from gpu.offline import edit_frames
from gpu.types import Edit


def test_passthrough_is_exact() -> None:
    frames = [picture(i) for i in range(10)]
    back = list(edit_frames(PassthroughModel(), frames, [(3, Edit(1, "night"))]))
    assert all(same(a, b) for a, b in zip(frames, back, strict=True))


def test_an_edit_counts_from_its_frame_on() -> None:
    frames = [picture(i) for i in range(8)]
    back = list(edit_frames(TintModel(), frames, [(5, Edit(1, "night"))]))
    lifts = [int(np.median(b.y.astype(int) - a.y)) for a, b in zip(frames, back, strict=True)]
    assert [lift > 30 for lift in lifts] == [False] * 5 + [True] * 3


def test_the_last_chunk_is_filled_up_and_trimmed_and_a_new_size_ends_a_chunk() -> None:
    model = TintModel(frames_per_chunk=4)
    frames = [picture(i) for i in range(6)] + [picture(i, 176, 144) for i in range(6, 11)]
    back = list(edit_frames(model, frames))
    assert [(f.pts, f.width) for f in back] == [(f.pts, f.width) for f in frames]
    assert [state.seen for state in model.opened] == [8, 8]
