"""The tiny autoencoder: upstream's numbers, streaming as offline, streams apart, and words for bad input.

`tiny_upstream.npz` holds what taehv.py at commit 1f14a56 of madebyollin/taehv made in float64, weights,
pictures and latents by ae_rule.py, at 48x32, six latents: names and shapes of its state dict; `latents`, the
last latent of `encode_video` of the first 1, 5, 9, ... pictures; `frames`, every third row and column of
`decode_video`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import ae_rule  # noqa: E402

from gpu.autoencoder.base import FRAMES, AutoencoderStream, Pixels  # noqa: E402
from gpu.autoencoder.cost import tiny_state_bytes  # noqa: E402
from gpu.autoencoder.tiny import TinyAutoencoder  # noqa: E402
from gpu.autoencoder.tiny_network import TinyNetwork  # noqa: E402
from gpu.errors import ModelError  # noqa: E402

WIDTH, HEIGHT, LATENTS = 48, 32, 6
UPSTREAM = Path(__file__).parent / "tiny_upstream.npz"


def shapes() -> dict[str, tuple[int, ...]]:
    """Of upstream's state dict."""
    with np.load(UPSTREAM) as stored:
        sizes = [tuple(map(int, text.split())) for text in stored["shapes"]]
        return dict(zip(stored["names"].tolist(), sizes, strict=True))


def ruled(pixels: Pixels = "signed", dtype: torch.dtype = torch.float32) -> TinyAutoencoder:
    network = TinyNetwork()
    network.load_state_dict(ae_rule.weights(shapes()))
    return TinyAutoencoder(network, dtype=dtype, pixels=pixels)


@pytest.fixture(scope="module")
def autoencoder() -> TinyAutoencoder:
    return ruled()


def live() -> torch.Tensor:
    """The fixture's pictures as a stream has them: its first is the fourth frame."""
    clip = ae_rule.pictures(FRAMES * LATENTS - 3, WIDTH, HEIGHT)
    return torch.cat([torch.zeros(3, 3, HEIGHT, WIDTH), clip])


def encoded(stream: AutoencoderStream, frames: torch.Tensor, split: tuple[int, ...]) -> torch.Tensor:
    groups = frames.split([FRAMES * count for count in split])
    return torch.cat([stream.encode(group) for group in groups], 2)


def test_parameters_have_the_names_and_shapes_of_the_checkpoint() -> None:
    assert {name: tuple(each.shape) for name, each in TinyNetwork().state_dict().items()} == shapes()


@pytest.mark.parametrize("split", [(1,) * 6, (3, 3), (6,), (2, 1, 3)])
def test_latents_are_those_upstream_gives_the_clip_so_far(
    autoencoder: TinyAutoencoder, split: tuple[int, ...]
) -> None:
    got = encoded(autoencoder.open(WIDTH, HEIGHT), live(), split)
    with np.load(UPSTREAM) as stored:
        want = torch.from_numpy(stored["latents"])
    assert got.shape == want.shape == (1, 16, LATENTS, HEIGHT // 8, WIDTH // 8)
    assert (got - want).abs().max() < 1e-5 * want.abs().max()


@pytest.mark.parametrize("split", [(1,) * 6, (3, 3), (6,), (2, 1, 3)])
def test_frames_are_upstreams_in_step(autoencoder: TinyAutoencoder, split: tuple[int, ...]) -> None:
    stream = autoencoder.open(WIDTH, HEIGHT)
    latents = ae_rule.latents(LATENTS, WIDTH, HEIGHT)
    got = torch.cat([stream.decode(group) for group in latents.split(split, 2)])
    with np.load(UPSTREAM) as stored:
        want = torch.from_numpy(stored["frames"])
    assert got.shape == (FRAMES * LATENTS, 3, HEIGHT, WIDTH)
    assert ((want > 0) & (want < 1)).float().mean() > 0.5  # not all clamped
    assert (got[3:, :, ::3, ::3] - want).abs().max() < 1e-5
    assert torch.equal(got[:3], got[3:4].expand(3, -1, -1, -1))


def test_a_latent_depends_on_earlier_frames_and_on_no_later_one(
    autoencoder: TinyAutoencoder,
) -> None:
    frames = live()
    want = autoencoder.open(WIDTH, HEIGHT).encode(frames)
    for changed, first in ((4, 1), (7, 1), (8, 2), (11, 2)):  # frame, the first latent it may touch
        other = frames.clone()
        other[changed] = 1 - other[changed]
        got = autoencoder.open(WIDTH, HEIGHT).encode(other)
        assert torch.equal(got[:, :, :first], want[:, :, :first])
        assert not torch.equal(got[:, :, first + 1], want[:, :, first + 1])


def test_batches_are_streams_beside_each_other(autoencoder: TinyAutoencoder) -> None:
    frames = ae_rule.pictures(2 * 3 * FRAMES, WIDTH, HEIGHT).unflatten(0, (2, -1))
    encoder = autoencoder.network.encoder
    with torch.inference_mode():
        state = [torch.zeros(shape) for _, shape in encoder.state(2, WIDTH, HEIGHT)]
        first, *state = encoder(frames[:, : 2 * FRAMES], *state)
        second, *state = encoder(frames[:, 2 * FRAMES :], *state)
    together = torch.cat([first, second], 1).transpose(1, 2)
    for index in range(2):
        alone = autoencoder.open(WIDTH, HEIGHT).encode(frames[index])
        assert torch.allclose(together[index : index + 1], alone, atol=1e-5)


def test_two_streams_do_not_mix(autoencoder: TinyAutoencoder) -> None:
    one = ae_rule.pictures(8, WIDTH, HEIGHT, "one")
    other = ae_rule.pictures(8, 32, 64, "other")
    want = autoencoder.open(WIDTH, HEIGHT).encode(one), autoencoder.open(32, 64).encode(other)
    first, second = autoencoder.open(WIDTH, HEIGHT), autoencoder.open(32, 64)
    got: list[list[torch.Tensor]] = [[], []]
    for half in range(2):
        got[0].append(first.encode(one[4 * half : 4 * half + 4]))
        second.decode(torch.randn(1, 16, 1, 8, 4))
        got[1].append(second.encode(other[4 * half : 4 * half + 4]))
    assert torch.equal(torch.cat(got[0], 2), want[0])
    assert torch.equal(torch.cat(got[1], 2), want[1])


def test_streams_run_in_threads_beside_each_other(autoencoder: TinyAutoencoder) -> None:
    clips = [ae_rule.pictures(12, WIDTH, HEIGHT, label) for label in ("one", "other", "third")]
    streams = [autoencoder.open(WIDTH, HEIGHT) for _ in clips]
    with ThreadPoolExecutor(len(clips)) as pool:
        got = list(pool.map(lambda stream, clip: encoded(stream, clip, (1, 1, 1)), streams, clips))
    for made, clip in zip(got, clips, strict=True):
        assert torch.allclose(made, autoencoder.open(WIDTH, HEIGHT).encode(clip), atol=1e-5)


def test_unit_pixels_are_the_upper_half_of_signed_ones() -> None:
    """Wan's 0..1 as it is, is TAEHV's 0.5..1: a pale picture there and back."""
    signed, unit = ruled("signed"), ruled("unit")
    frames = ae_rule.pictures(4, WIDTH, HEIGHT)
    latents = unit.open(WIDTH, HEIGHT).encode(frames)
    assert torch.allclose(latents, signed.open(WIDTH, HEIGHT).encode(0.5 + frames / 2), atol=1e-6)
    given = ae_rule.latents(1, WIDTH, HEIGHT)
    pale = signed.open(WIDTH, HEIGHT).decode(given)
    assert torch.allclose(unit.open(WIDTH, HEIGHT).decode(given), (2 * pale - 1).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_every_float_type_and_what_a_stream_holds(name: str) -> None:
    dtype = getattr(torch, name)
    autoencoder = TinyAutoencoder.random(0, dtype=dtype)
    stream = autoencoder.open(WIDTH, HEIGHT)
    latents = stream.encode(torch.rand(4, 3, HEIGHT, WIDTH))
    frames = stream.decode(latents)
    assert latents.dtype == frames.dtype == torch.float32
    assert latents.isfinite().all()
    assert frames.min() >= 0
    assert frames.max() <= 1
    assert 0.3 < latents.std() < 5
    held = [tensor for half in (stream._encoder, stream._decoder) for tensor in half._state]
    assert {tensor.dtype for tensor in held} == {dtype}
    assert sum(tensor.untyped_storage().nbytes() for tensor in held) == autoencoder.state_bytes(WIDTH, HEIGHT)
    assert autoencoder.state_bytes(832, 480) == tiny_state_bytes(832, 480, dtype.itemsize)
    assert name in autoencoder.name


@pytest.mark.parametrize(("name", "bound"), [("float16", 0.005), ("bfloat16", 0.05)])
def test_half_floats_are_near(autoencoder: TinyAutoencoder, name: str, bound: float) -> None:
    frames, latents = live()[:4], ae_rule.latents(1, WIDTH, HEIGHT)
    exact = autoencoder.open(WIDTH, HEIGHT)
    half = ruled(dtype=getattr(torch, name)).open(WIDTH, HEIGHT)
    for got, want in (
        (half.encode(frames), exact.encode(frames)),
        (half.decode(latents), exact.decode(latents)),
    ):
        assert (got - want).norm() < bound * want.norm()


def test_random_weights_are_decided_by_their_seed() -> None:
    one, same, other = (TinyAutoencoder.random(seed).network.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["encoder.0.weight"], other["encoder.0.weight"])


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((3, 3, HEIGHT, WIDTH), "multiple of 4"),
        ((0, 3, HEIGHT, WIDTH), "multiple of 4"),
        ((4, 3, HEIGHT, WIDTH + 8), "open a stream of their size"),
        ((4, 1, HEIGHT, WIDTH), r"give \[T, 3, 32, 48\]"),
        ((3, HEIGHT, WIDTH), r"give \[T, 3, 32, 48\]"),
    ],
)
def test_frames_of_another_shape(autoencoder: TinyAutoencoder, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        autoencoder.open(WIDTH, HEIGHT).encode(torch.zeros(shape))


@pytest.mark.parametrize(
    "shape", [(1, 16, 0, 4, 6), (1, 16, 1, 6, 4), (2, 16, 1, 4, 6), (1, 8, 1, 4, 6), (16, 4, 6)]
)
def test_latents_of_another_shape(autoencoder: TinyAutoencoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"give \[1, 16, L, 4, 6\]"):
        autoencoder.open(WIDTH, HEIGHT).decode(torch.zeros(shape))


@pytest.mark.parametrize("size", [(44, 32), (48, 36), (0, 32), (-8, 8)])
def test_sizes_without_whole_latents(autoencoder: TinyAutoencoder, size: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match="multiples of 8"):
        autoencoder.open(*size)


def test_a_closed_stream_says_so(autoencoder: TinyAutoencoder) -> None:
    stream = autoencoder.open(WIDTH, HEIGHT)
    stream.close()
    stream.close()
    with pytest.raises(ModelError, match="open another"):
        stream.encode(torch.zeros(4, 3, HEIGHT, WIDTH))
    with pytest.raises(ModelError, match="open another"):
        stream.decode(torch.zeros(1, 16, 1, HEIGHT // 8, WIDTH // 8))


class TestLoading:
    def test_safetensors_and_pth(self, autoencoder: TinyAutoencoder, tmp_path: Path) -> None:
        safetensors = pytest.importorskip("safetensors.torch")
        weights = {name: tensor.half() for name, tensor in ae_rule.weights(shapes()).items()}
        torch.save(weights, tmp_path / "taew2_1.pth")
        safetensors.save_file(weights, tmp_path / "taew2_1.safetensors")
        want = autoencoder.open(WIDTH, HEIGHT).encode(live())
        for name in ("taew2_1.pth", "taew2_1.safetensors"):
            loaded = TinyAutoencoder.load(tmp_path / name, pixels="signed")
            got = loaded.open(WIDTH, HEIGHT).encode(live())
            assert (got - want).abs().max() < 0.02 * want.abs().max()  # weights were rounded to half

    def test_a_layer_that_was_stored_for_more_pictures_keeps_the_last(self, tmp_path: Path) -> None:
        weights = ae_rule.weights(shapes())
        last = weights["decoder.7.conv.weight"]
        torch.save(weights | {"decoder.7.conv.weight": torch.cat([-last, last])}, tmp_path / "taew2_1.pth")
        loaded = TinyAutoencoder.load(tmp_path / "taew2_1.pth").network.state_dict()
        assert torch.equal(loaded["decoder.7.conv.weight"], last)

    def test_another_networks_weights_are_named(self, tmp_path: Path) -> None:
        weights = ae_rule.weights(shapes())
        del weights["encoder.0.bias"]
        weights["decoder.1.weight"] = torch.zeros(256, 48, 3, 3)  # Wan 2.2's 48 channels
        weights["patch_embedding.weight"] = torch.zeros(1)
        torch.save(weights, tmp_path / "some.pth")
        with pytest.raises(ModelError, match=r"some\.pth") as caught:
            TinyAutoencoder.load(tmp_path / "some.pth")
        for said in (
            "encoder.0.bias is missing",
            "[256, 48, 3, 3]",
            "patch_embedding.weight is unknown",
            "relens models download",
        ):
            assert said in str(caught.value)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"relens models download liveedit-1\.3b"):
            TinyAutoencoder.load(tmp_path / "taew2_1.pth")
