"""Edit a sequence of pictures in one go, by the steps a live stream takes. Knows no codecs and no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gpu.editor import Editor
from gpu.models.base import EditModel
from gpu.types import Edit, Frame


def edit_frames(
    model: EditModel, frames: Iterable[Frame], edits: Sequence[tuple[int, Edit]] = ()
) -> Iterator[Frame]:
    """Yield every frame edited, same order, size and pts.

    `edits`: (frame index, edit) by rising index; an edit counts from the chunk on that holds its frame.
    A last chunk that is not full is filled up with its last frame, and the filling is not given back.
    Raises FrameError and ModelError as the model does.
    """
    editor = Editor(model)
    size = model.spec.frames_per_chunk
    pending = list(edits)
    chunk: list[Frame] = []
    for index, frame in enumerate(frames):
        if chunk and frame.y.shape != chunk[0].y.shape:
            yield from _edit_short(editor, chunk, size)
            chunk = []
        while pending and pending[0][0] <= index:
            editor.want(pending.pop(0)[1])
        chunk.append(frame)
        if len(chunk) == size:
            yield from (edited.frame for edited in editor.edit(chunk))
            chunk = []
    if chunk:
        yield from _edit_short(editor, chunk, size)


def _edit_short(editor: Editor, chunk: list[Frame], size: int) -> Iterator[Frame]:
    filled = chunk + [chunk[-1]] * (size - len(chunk))
    for edited in editor.edit(filled)[: len(chunk)]:
        yield edited.frame
