"""A model of a megabyte or two with every kind of file that the large one has, in a catalogue of its own."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from pathlib import Path

from gpu.checkpoints.catalogue import LargeModel, Source, Terms, WeightsFile

NAME = "small-edit"
NETWORK_BYTES = 1_500_000


def torch_file(size_bytes: int, seed: int) -> bytes:
    """A zip as `torch.save` lays it out. Its pickle is an empty dict."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), b"\x80\x02}.")  # of no date: equal everywhere
        archive.writestr(zipfile.ZipInfo("archive/data/0"), random.Random(seed).randbytes(size_bytes))
    return made.getvalue()


def safetensors_file(size_bytes: int, seed: int) -> bytes:
    header = json.dumps(
        {"x": {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}}
    ).encode()
    return len(header).to_bytes(8, "little") + header + random.Random(seed).randbytes(size_bytes)


NETWORK, SMALL, TEXT = "someone/Edit/net.pt", "else/tiny/tiny.safetensors", "Base-AI/Base/text.pth"
CONTENT: dict[str, bytes] = {
    NETWORK: torch_file(NETWORK_BYTES, 1),
    "Base-AI/Base/config.json": b'{"dim": 8}',
    TEXT: torch_file(200_000, 2),
    "Base-AI/Base/words/tokenizer.json": b'{"words": []}',
    "Base-AI/Base/words/spiece.model": b"\x0a\x05words" * 300,
    "Base-AI/Base/vae.pth": torch_file(90_000, 3),
    SMALL: safetensors_file(50_000, 4),
}

_NETWORK = Source(
    "someone/Edit", "main", Terms("unclear", "Commercial use is unclear."), ("checkpoints/edit",)
)
_BASE = Source("Base-AI/Base", "main", Terms("Apache-2.0", "All use."), ("base_models/Base",))
_TINY = Source("else/tiny", "main", Terms("MIT", "All use."))
_PARTS = {
    "net.pt": "network", "config.json": "config", "text.pth": "text_encoder", "vae.pth": "autoencoder",
    "words/tokenizer.json": "tokenizer", "words/spiece.model": "tokenizer",
    "tiny.safetensors": "tiny_autoencoder",
}  # fmt: skip


def file_of(name: str) -> WeightsFile:
    """The catalogue's entry: of the network neither size nor sum is known, as of LiveEdit's."""
    source = next(source for source in (_NETWORK, _BASE, _TINY) if name.startswith(f"{source.repo}/"))
    path, body = name.removeprefix(f"{source.repo}/"), CONTENT[name]
    if source is _NETWORK:
        return WeightsFile(source, path, "network")
    return WeightsFile(source, path, _PARTS[path], len(body), hashlib.sha256(body).hexdigest())  # type: ignore[arg-type]


MODEL = LargeModel(NAME, "Small Edit", tuple(file_of(name) for name in CONTENT))
# Shares everything but the network.
COUSIN = LargeModel(
    "cousin-edit",
    "Cousin",
    (WeightsFile(_NETWORK, "cousin.pt", "network"), *(f for f in MODEL.files if f.part != "network")),
)
TOTAL_BYTES = sum(map(len, CONTENT.values()))


def lay_out(folder: Path, *names: str) -> None:
    """Write files of the small model at `folder/name`; all of them where none is named."""
    for name in names or tuple(CONTENT):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT[name])
