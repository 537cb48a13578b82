"""Names of tensors, out of every wrapping."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from gpu.checkpoints.names import WRAPPERS, network_of, renamed, strip, to_wan  # noqa: E402
from gpu.errors import ModelError  # noqa: E402
from tests.gpu.checkpoints.toy_checkpoint import empty  # noqa: E402

NAMES = sorted(empty().state_dict())


@settings(deadline=None, derandomize=True)
@given(st.data())
def test_wrappers_anywhere_come_off(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    made = []
    for part in name.split("."):
        made += [*data.draw(st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=2)), part]
    assert strip(".".join(made)) == name
    assert to_wan(".".join(made)) == name


@pytest.mark.parametrize("name", NAMES)
def test_wans_own_names_stay(name: str) -> None:
    assert to_wan(name) == name


@pytest.mark.parametrize(
    ("theirs", "wan"),
    [
        ("blocks.12.attn1.to_q.weight", "blocks.12.self_attn.q.weight"),
        ("blocks.12.attn1.to_out.0.bias", "blocks.12.self_attn.o.bias"),
        ("blocks.3.attn2.norm_q.weight", "blocks.3.cross_attn.norm_q.weight"),
        ("blocks.3.norm2.bias", "blocks.3.norm3.bias"),
        ("blocks.3.ffn.net.2.bias", "blocks.3.ffn.2.bias"),
        ("blocks.3.scale_shift_table", "blocks.3.modulation"),
        ("scale_shift_table", "head.modulation"),
        ("proj_out.weight", "head.head.weight"),
        ("transformer.condition_embedder.text_embedder.linear_2.bias", "text_embedding.2.bias"),
        ("condition_embedder.time_embedder.linear_1.weight", "time_embedding.0.weight"),
        ("condition_embedder.time_proj.bias", "time_projection.1.bias"),
    ],
)
def test_names_of_diffusers(theirs: str, wan: str) -> None:
    assert to_wan(theirs) == wan


def test_two_tensors_by_one_name_are_refused() -> None:
    one = torch.ones(1)
    with pytest.raises(
        ModelError, match=r"head.modulation twice: as 'model.head.modulation' and as 'module.head"
    ):
        renamed({"model.head.modulation": one, "module.head.modulation": one})


def test_what_only_training_needs_is_left_out() -> None:
    one = torch.ones(1)
    held = {"model.head.modulation": one, "_cls_pred_branch.1.weight": one, "model.freqs": one}
    assert set(network_of({"generator": held})) == {"head.modulation"}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({}, "no network.*nothing"),
        ({"step": 3, "config": "x"}, "no network.*step; config"),
        ({"generator": {}}, "no network"),
        ({"generator_lora": {"a": torch.ones(1)}}, "holds a LoRA"),
        ({str(i): i for i in range(9)}, "and 4 more"),
    ],
)
def test_a_dict_without_a_network(held: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        network_of(held)


def test_a_dict_within_itself_ends() -> None:
    held: dict[str, object] = {}
    held["model"] = held
    with pytest.raises(ModelError, match="no network"):
        network_of(held)
