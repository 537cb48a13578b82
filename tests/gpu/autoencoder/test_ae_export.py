"""Exported steps give what the network gives, step after step with what they remember, on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")

import ae_rule  # noqa: E402

from gpu.autoencoder.cost import Part, tiny_parameters  # noqa: E402
from gpu.autoencoder.export import PICTURES, WRITTEN, export_step, step_inputs  # noqa: E402
from gpu.autoencoder.tiny import TinyAutoencoder  # noqa: E402
from gpu.errors import DeviceError, ModelError  # noqa: E402

WIDTH, HEIGHT = 48, 32


@pytest.mark.parametrize("part", [pytest.param("encoder", marks=pytest.mark.slow), "decoder"])
def test_three_steps_of_two_streams(part: Part, tmp_path: Path) -> None:
    network = TinyAutoencoder.random(5).network
    path = export_step(network, part, WIDTH, HEIGHT, tmp_path, batch=2)
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_size > 4 * tiny_parameters(part)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = step_inputs(part, WIDTH, HEIGHT, batch=2)
    assert {each.name: tuple(each.shape) for each in session.get_inputs()} == inputs
    given, made = PICTURES[part]
    names = [each.name for each in session.get_outputs()]
    states = list(inputs)[1:]
    assert names == [made, *(name + WRITTEN for name in states)]
    theirs = {name: np.zeros(inputs[name], np.float32) for name in states}
    ours = [torch.zeros(inputs[name]) for name in states]
    for step in range(3):
        x = (0.5 + 0.5 * ae_rule.uniform(f"{part} {step}", *inputs[given])).float()
        with torch.inference_mode():
            want, *ours = getattr(network, part)(x, *ours)
        results = dict(zip(names, session.run(None, {given: x.numpy(), **theirs}), strict=True))
        theirs = {name: results[name + WRITTEN] for name in states}
        assert want.std() > 0.1
        for got, expected in ((results[made], want), *zip(theirs.values(), ours, strict=True)):
            assert np.abs(got - expected.numpy()).max() <= 1e-4 * max(1.0, float(expected.abs().max()))


@pytest.mark.slow
def test_half_precision_and_three_latents_at_once(tmp_path: Path) -> None:
    network = TinyAutoencoder.random(5, dtype=torch.float16).network
    path = export_step(network, "decoder", WIDTH, HEIGHT, tmp_path, count=3)
    assert "float16" in path.name
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = step_inputs("decoder", WIDTH, HEIGHT, count=3)
    given = {name: np.zeros(shape, np.float16) for name, shape in inputs.items()}
    given["latents"] = ae_rule.uniform("half", *inputs["latents"]).half().numpy()
    got = session.run(["frames"], given)[0]
    with torch.inference_mode():
        want = network.decoder(*(torch.from_numpy(each) for each in given.values()))[0]
    assert got.shape == (1, 12, 3, HEIGHT, WIDTH)
    assert np.abs(got.astype(np.float32) - want.float().numpy()).max() < 0.01


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    network = TinyAutoencoder.random(0).network
    with pytest.raises(ModelError, match="multiples of 8"):
        export_step(network, "encoder", 50, HEIGHT, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="check the folder"):
        export_step(network, "decoder", 16, 16, tmp_path / "file")
