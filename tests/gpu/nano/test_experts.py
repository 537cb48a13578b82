"""What edits own of the networks: words for colours, tensors ready for the engine, missing weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpu.errors import ModelError
from gpu.models.nano import WEIGHTS
from gpu.nano.edits import COLOURS, HUES, names_of
from gpu.nano.experts import Experts, pack
from gpu.nano.palette import resolve


@pytest.fixture(scope="module")
def shipped() -> Experts:
    return Experts.load(WEIGHTS)


def test_packed_biases_are_biases() -> None:
    rng = np.random.default_rng(0)
    shapes = {"w1": (5, 11), "b1": (5, 1), "w2": (5, 5), "b2": (5, 1), "w3": (6, 5), "b3": (6, 1)}
    stored = {name: rng.normal(size=(1, *shape)).astype(np.float32) for name, shape in shapes.items()}
    x = rng.uniform(0, 1, (11, 50)).astype(np.float32)
    plain, packed = x, np.concatenate([x, np.ones((1, 50), np.float32)])
    tensors = pack(stored)
    for layer in "123":
        plain = stored["w" + layer][0] @ plain + stored["b" + layer][0]
        packed = tensors["w" + layer][0] @ packed
        if layer != "3":
            plain, packed = np.maximum(plain, 0), np.maximum(packed, 0)
    np.testing.assert_allclose(plain, packed, atol=1e-4)


def test_words_for_colours_are_resolved_with_defaults() -> None:
    assert resolve("recolour", ()) == ("red", "blue")
    assert resolve("recolour", ("green",)) == ("green", "blue")
    assert resolve("recolour", ("green", "white")) == ("green", "white")
    assert resolve("colour_pop", ("yellow", "blue")) == ("yellow",)
    assert resolve("backdrop", ("red", "white")) == ("white",)
    assert resolve("night", ("red",)) == ()


@pytest.mark.parametrize(
    ("name", "colours"),
    [
        ("recolour", ("white", "red")),
        ("recolour", ("red", "teal")),
        ("colour_pop", ("brown",)),
        ("backdrop", ("",)),
    ],
)
def test_unknown_colours_are_refused_with_those_known(
    shipped: Experts, name: str, colours: tuple[str, ...]
) -> None:
    with pytest.raises(ModelError, match=r"does not know the colour .*use one of red, orange"):
        shipped.tensors(name, colours)


def test_every_look_and_every_pair_of_colours_has_tensors_of_one_shape(shipped: Experts) -> None:
    shapes = {name: tensor.shape for name, tensor in shipped.tensors("night").items()}
    assert list(shapes) == ["w1", "w2", "w3"]
    asked: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in names_of("look")]
    asked += [("recolour", (hue, colour)) for hue in HUES for colour in COLOURS]
    asked += [("colour_pop", (hue,)) for hue in HUES] + [("backdrop", (colour,)) for colour in COLOURS]
    for name, colours in asked:
        tensors = shipped.tensors(name, colours)
        assert {key: tensor.shape for key, tensor in tensors.items()} == shapes
        assert all(tensor.dtype == np.float32 and not tensor.flags.writeable for tensor in tensors.values())


def test_missing_weights_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="relens distill"):
        Experts.load(tmp_path)
    (tmp_path / "experts.npz").write_bytes(b"no archive")
    with pytest.raises(ModelError, match="relens distill"):
        Experts.load(tmp_path)
    tensors = {
        "w1": (1, 2, 3),
        "b1": (1, 2, 1),
        "w2": (1, 2, 2),
        "b2": (1, 2, 1),
        "w3": (1, 6, 2),
        "b3": (1, 6, 1),
    }
    stored = {f"look/night/{name}": np.zeros(shape, np.float16) for name, shape in tensors.items()}
    np.savez(tmp_path / "experts.npz", **stored)  # type: ignore[arg-type]
    few = Experts.load(tmp_path)
    assert set(few.tensors("night")) == {"w1", "w2", "w3"}
    for missing in (("sepia", ()), ("recolour", ("red", "blue")), ("backdrop", ()), ("pencil", ())):
        with pytest.raises(ModelError, match=r"has no weights for .*relens distill"):
            few.tensors(*missing)
    with pytest.raises(ModelError, match="there is no edit"):
        few.tensors("no such edit")
