"""Wan's autoencoder: streaming as diffusers' whole clip and as Wan's own code, streams apart, loading.

`wan_upstream.npz` holds what wan/modules/vae.py of Wan 2.1 (as in guandeh17/Self-Forcing at 33593df) made in
float64 with a base of 4 channels, weights, pictures and latents by ae_rule.py, at 48x32, five latents: names
and shapes of its state dict; `latents`, `encode` of pictures in -1..1; `frames`, every third row and column
of `decode`, in 0..1.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

import ae_rule  # noqa: E402
from diffusers import AutoencoderKLWan  # noqa: E402

from gpu.autoencoder.base import FRAMES  # noqa: E402
from gpu.autoencoder.wan import WanAutoencoder  # noqa: E402
from gpu.autoencoder.wan_cost import wan_state_bytes  # noqa: E402
from gpu.errors import ModelError  # noqa: E402

WIDTH, HEIGHT, LATENTS = 48, 32, 5
UPSTREAM = Path(__file__).parent / "wan_upstream.npz"
SPLITS = [(1,) * 5, (3, 2), (5,), (1, 3, 1)]


@pytest.fixture(scope="module")
def original() -> dict[str, torch.Tensor]:
    """A small `Wan2.1_VAE.pth`."""
    with np.load(UPSTREAM) as stored:
        sizes = [tuple(map(int, text.split())) for text in stored["shapes"]]
        return ae_rule.weights(dict(zip(stored["names"].tolist(), sizes, strict=True)))


@pytest.fixture(scope="module")
def autoencoder(
    original: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> WanAutoencoder:
    folder = tmp_path_factory.mktemp("Wan2.1-T2V-1.3B")
    torch.save(original, folder / "Wan2.1_VAE.pth")
    (folder / "config.json").write_text('{"_class_name": "WanModel", "dim": 1536}')
    return WanAutoencoder.load(folder, pixels="signed")


def live(count: int = LATENTS) -> torch.Tensor:
    """The fixture's pictures as a stream has them: its first is the fourth frame."""
    clip = ae_rule.pictures(FRAMES * count - 3, WIDTH, HEIGHT)
    return torch.cat([torch.zeros(3, 3, HEIGHT, WIDTH), clip])


def error(got: torch.Tensor, want: torch.Tensor) -> float:
    assert got.shape == want.shape
    return float((got - want).norm() / want.norm())


@pytest.mark.parametrize("split", SPLITS)
def test_latents_are_wans_own(autoencoder: WanAutoencoder, split: tuple[int, ...]) -> None:
    stream = autoencoder.open(WIDTH, HEIGHT)
    groups = live().split([FRAMES * count for count in split])
    got = torch.cat([stream.encode(group) for group in groups], 2)
    with np.load(UPSTREAM) as stored:
        assert error(got, torch.from_numpy(stored["latents"])) < 1e-5


@pytest.mark.parametrize("split", SPLITS)
def test_frames_are_wans_own_in_step(autoencoder: WanAutoencoder, split: tuple[int, ...]) -> None:
    stream = autoencoder.open(WIDTH, HEIGHT)
    latents = ae_rule.latents(LATENTS, WIDTH, HEIGHT)
    got = torch.cat([stream.decode(group) for group in latents.split(split, 2)])
    assert got.shape == (FRAMES * LATENTS, 3, HEIGHT, WIDTH)
    with np.load(UPSTREAM) as stored:
        assert error(got[3:, :, ::3, ::3], torch.from_numpy(stored["frames"])) < 1e-5
    assert torch.equal(got[:3], got[3:4].expand(3, -1, -1, -1))


def test_a_stream_there_and_back_is_diffusers_clip() -> None:
    autoencoder = WanAutoencoder.random(3, pixels="signed")
    stream = autoencoder.open(WIDTH, HEIGHT)
    frames = live(4)
    got = torch.cat([stream.decode(stream.encode(group)) for group in frames.split(8)])
    clip = (frames[3:] * 2 - 1).transpose(0, 1)[None]
    with torch.inference_mode():
        latents = autoencoder.vae.encode(clip).latent_dist.mean
        want = autoencoder.vae.decode(latents).sample[0].transpose(0, 1) * 0.5 + 0.5
    assert error(got[3:], want) < 1e-4


def test_unit_pixels_are_handed_over_as_they_are() -> None:
    autoencoder = WanAutoencoder.random(3, pixels="unit")
    stream = autoencoder.open(WIDTH, HEIGHT)
    frames = live(2)
    latents = stream.encode(frames)
    with torch.inference_mode():
        want = autoencoder.vae.encode(frames[3:].transpose(0, 1)[None]).latent_dist.mean
        pictures = autoencoder.vae.decode(want).sample[0].transpose(0, 1).clamp(0, 1)
    assert error(latents * autoencoder.std + autoencoder.mean, want) < 1e-5
    assert error(stream.decode(latents)[3:], pictures) < 1e-4


def test_two_streams_do_not_mix(autoencoder: WanAutoencoder) -> None:
    frames, latents = live(2), ae_rule.latents(2, WIDTH, HEIGHT)
    alone = autoencoder.open(WIDTH, HEIGHT)
    want = alone.encode(frames), alone.decode(latents)
    one, other = autoencoder.open(WIDTH, HEIGHT), autoencoder.open(64, 48)
    seen, shown = [], []
    for step in range(2):
        seen.append(one.encode(frames[4 * step : 4 * step + 4]))
        other.encode(torch.rand(4, 3, 48, 64))
        shown.append(one.decode(latents[:, :, step : step + 1]))
        other.decode(torch.randn(1, 16, 1, 6, 8))
    assert torch.equal(torch.cat(seen, 2), want[0])
    assert torch.equal(torch.cat(shown), want[1])


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_what_a_stream_holds(name: str) -> None:
    autoencoder = WanAutoencoder.random(0, dtype=getattr(torch, name))
    stream = autoencoder.open(WIDTH, HEIGHT)
    for _ in range(3):
        stream.decode(stream.encode(torch.rand(4, 3, HEIGHT, WIDTH)))
    held = [each for memory in (stream._seen, stream._shown) for each in memory if each is not None]
    assert {each.dtype for each in held} == {autoencoder.dtype}
    assert sum(each.untyped_storage().nbytes() for each in held) == autoencoder.state_bytes(WIDTH, HEIGHT)
    assert name in autoencoder.name


def test_the_full_size_is_dear() -> None:
    assert round(wan_state_bytes(832, 480, 2) / 1e9, 1) == 3.0


def test_bad_input(autoencoder: WanAutoencoder) -> None:
    with pytest.raises(ModelError, match="multiples of 8"):
        autoencoder.open(44, 32)
    stream = autoencoder.open(WIDTH, HEIGHT)
    with pytest.raises(ModelError, match="multiple of 4"):
        stream.encode(torch.zeros(5, 3, HEIGHT, WIDTH))
    with pytest.raises(ModelError, match="open a stream of their size"):
        stream.decode(torch.zeros(1, 16, 1, 8, 8))
    stream.close()
    stream.close()
    with pytest.raises(ModelError, match="open another"):
        stream.encode(torch.zeros(4, 3, HEIGHT, WIDTH))
    with pytest.raises(ModelError, match="open another"):
        stream.decode(torch.zeros(1, 16, 1, HEIGHT // 8, WIDTH // 8))


class TestLoading:
    def test_diffusers_folder_and_the_one_it_lies_in(self, tmp_path: Path) -> None:
        autoencoder = WanAutoencoder.random(7, base_dim=4)
        autoencoder.vae.save_pretrained(tmp_path / "vae")
        want = autoencoder.open(WIDTH, HEIGHT).encode(live(1))
        for path in (tmp_path, tmp_path / "vae", tmp_path / "vae" / "diffusion_pytorch_model.safetensors"):
            loaded = WanAutoencoder.load(path)
            assert torch.equal(loaded.open(WIDTH, HEIGHT).encode(live(1)), want)
        assert WanAutoencoder.load(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16

    def test_names_that_do_not_fit(self, original: dict[str, torch.Tensor], tmp_path: Path) -> None:
        weights = dict(original)
        del weights["encoder.middle.0.residual.2.bias"]
        torch.save(weights | {"conv2.weight": torch.zeros(16, 8, 1, 1, 1)}, tmp_path / "some.pth")
        with pytest.raises(ModelError, match=r"some\.pth") as caught:
            WanAutoencoder.load(tmp_path / "some.pth")
        for said in (
            "mid_block.resnets.0.conv1.bias is missing",
            "post_quant_conv.weight is [16, 8, 1, 1, 1]",
        ):
            assert said in str(caught.value)

    def test_another_autoencoder_of_the_family(self) -> None:
        with torch.device("meta"):
            other = AutoencoderKLWan(base_dim=4, z_dim=48)
        with pytest.raises(ModelError, match=r"take the one of Wan2\.1-T2V-1\.3B"):
            WanAutoencoder(other)

    def test_folders_without_it(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"_class_name": "WanModel"}))
        with pytest.raises(ModelError, match="relens models download"):
            WanAutoencoder.load(tmp_path)
        (tmp_path / "config.json").write_text("{")
        with pytest.raises(ModelError, match="cannot be read"):
            WanAutoencoder.load(tmp_path)
        with pytest.raises(ModelError, match="is missing"):
            WanAutoencoder.load(tmp_path / "Wan2.1_VAE.pth")

    @pytest.mark.parametrize("sizes", [{"base_dim": "wide"}, {"dim_mult": []}, {"base_dim": -1}])
    def test_a_config_of_no_network(self, sizes: dict[str, object], tmp_path: Path) -> None:
        WanAutoencoder.random(0, base_dim=4).vae.save_pretrained(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | sizes))
        with pytest.raises(ModelError, match=r"config\.json"):
            WanAutoencoder.load(tmp_path)
