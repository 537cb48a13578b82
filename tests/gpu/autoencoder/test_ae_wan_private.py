"""What gpu/autoencoder/wan_private.py relies on of diffusers is there and behaves so.

When this fails after an upgrade, read what changed there before touching the pins.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from diffusers.loaders import single_file_utils  # noqa: E402
from diffusers.models.autoencoders import autoencoder_kl_wan as theirs  # noqa: E402

from gpu.autoencoder import wan_private  # noqa: E402
from gpu.autoencoder.wan import WanAutoencoder  # noqa: E402

OURS = Path(wan_private.__file__).parent


def test_version() -> None:
    assert diffusers.__version__.startswith("0.42.")


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (theirs.WanEncoder3d.forward, ["self", "x", "feat_cache", "feat_idx"]),
        (theirs.WanDecoder3d.forward, ["self", "x", "feat_cache", "feat_idx", "first_chunk"]),
        (theirs.WanCausalConv3d.forward, ["self", "x", "cache_x"]),
        (single_file_utils.convert_wan_vae_to_diffusers, ["checkpoint", "kwargs"]),
    ],
)
def test_signatures(function: object, parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters  # type: ignore[arg-type]


def test_a_memory_has_a_place_for_every_convolution_and_is_all_a_step_changes() -> None:
    vae = WanAutoencoder.random(0).vae
    for half, given in (
        (vae.encoder, torch.rand(1, 3, 1, 16, 16)),
        (vae.decoder, torch.rand(1, 16, 1, 2, 2)),
    ):
        memory, index = wan_private.memory_of(half), [0]
        before = {name: value.clone() for name, value in half.state_dict().items()}
        with torch.inference_mode():
            half(given, feat_cache=memory, feat_idx=index)
        shortcuts = sum(
            isinstance(m, theirs.WanCausalConv3d) and m.kernel_size[0] == 1 for m in half.modules()
        )
        assert index[0] == len(memory) - shortcuts
        assert all(each is not None for each in memory[: index[0]])
        assert all(torch.equal(value, before[name]) for name, value in half.state_dict().items())


def test_their_clip_is_made_of_the_same_steps() -> None:
    """One picture, then fours; one latent at a time; 1x1x1 convolutions see no neighbours."""
    vae = WanAutoencoder.random(1).vae
    clip, latents = torch.rand(1, 3, 9, 16, 16), torch.randn(1, 16, 3, 2, 2)
    seen, shown = wan_private.memory_of(vae.encoder), wan_private.memory_of(vae.decoder)
    with torch.inference_mode():
        want, pictures = vae.encode(clip).latent_dist.mean, vae.decode(latents).sample
        got = [wan_private.encode_step(vae, group, seen) for group in clip.split((1, 4, 4), 2)]
        made = [
            wan_private.decode_step(vae, latent, shown, first=index == 0)
            for index, latent in enumerate(latents.split(1, 2))
        ]
    assert [group.shape[2] for group in made] == [1, 4, 4]
    assert torch.allclose(torch.cat(got, 2), want, atol=1e-5)
    assert torch.allclose(torch.cat(made, 2), pictures, atol=1e-5)


def test_nothing_else_of_ours_reaches_into_diffusers() -> None:
    for path in OURS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("diffusers."):
                assert path.name == "wan_private.py", f"{path.name} imports {node.module}"
