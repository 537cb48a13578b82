"""The models whose weights are fetched: which files, from where, how large, with which sums and terms.

Data only: no network, no disk, no torch. Sizes and sums of Wan2.1 and of the tiny autoencoder are those of
the revisions named here. Of LiveEdit's file neither is known beforehand: what the hub says then counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu.errors import ModelError

# What a file is to its model. `tokenizer`: a folder of files; the others are one file each.
Part = Literal["network", "config", "text_encoder", "tokenizer", "autoencoder", "tiny_autoencoder"]


@dataclass(frozen=True, slots=True)
class Terms:
    """A licence by its short name, and in a few words what it allows."""

    licence: str
    allows: str


@dataclass(frozen=True, slots=True)
class Source:
    """One repository of the hub. `revision`: a commit, or "main" where no commit is known to pin.

    `also_under`: folders in which its own README, or another's, puts its files."""

    repo: str
    revision: str
    terms: Terms
    also_under: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Where a person reads about it, accepts its terms, and gets its files by hand."""
        return f"https://huggingface.co/{self.repo}"


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file. `path`: in its repository. `size_bytes`, `sha256` (lower case): None where unknown."""

    source: Source
    path: str
    part: Part
    size_bytes: int | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        """Repository and path: unique among all files."""
        return f"{self.source.repo}/{self.path}"


@dataclass(frozen=True, slots=True)
class LargeModel:
    """A model that is not whole in the package."""

    name: str
    title: str
    files: tuple[WeightsFile, ...]

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(dict.fromkeys(file.source for file in self.files))

    @property
    def known_bytes(self) -> int:
        """Of the files whose size is known."""
        return sum(file.size_bytes or 0 for file in self.files)


_LIVEEDIT = Source(
    "cp-cp/LiveEdit",
    "main",
    Terms(
        "Apache-2.0 for the code; unclear for the weights",
        "LiveEdit's code is under Apache-2.0, but its weights were trained on pairs from Ditto-1M, which is "
        "CC BY-NC-SA 4.0 (no commercial use, share alike). Whether such weights may be used commercially is "
        "unclear: ask the authors first, and see the page for what they say of it today.",
    ),
    ("checkpoints/liveedit", "liveedit"),
)
_WAN = Source(
    "Wan-AI/Wan2.1-T2V-1.3B",
    "37ec512624d61f7aa208f7ea8140a131f93afc9a",
    Terms(
        "Apache-2.0",
        "Wan2.1's text encoder and autoencoder, and Google's UMT5 tokenizer in the same repository, may be "
        "used, changed and passed on, commercially too, with the licence and its notices.",
    ),
    ("wan_models/Wan2.1-T2V-1.3B",),
)
# Its author publishes on GitHub only (madebyollin/taehv, safetensors/taew2_1.safetensors, since commit
# 0ad83bb8fdc48e9e94138704e939d500a3b43660). The hub's copy is another's: its sum says that it is the same.
_TINY = Source(
    "ionden/taew2.1",
    "2ac5ae1c3291a8607a2d6c423b9a0337cef45f2b",
    Terms(
        "MIT",
        "TAEW2.1, the tiny autoencoder (Ollin Boer Bohan, github.com/madebyollin/taehv), may be used, "
        "changed and passed on, commercially too, with its notice.",
    ),
    ("taehv/safetensors", "safetensors"),
)


def _tokenizer(name: str, size_bytes: int, sha256: str) -> WeightsFile:
    return WeightsFile(_WAN, f"google/umt5-xxl/{name}", "tokenizer", size_bytes, sha256)


LIVEEDIT = LargeModel(
    "liveedit-1.3b",
    "LiveEdit 1.3B",
    (
        WeightsFile(_LIVEEDIT, "ar-forcing_002000.pt", "network"),
        WeightsFile(
            _WAN,
            "config.json",
            "config",
            249,
            "ab37994c43740513f94b3ba6233a784035a67b43c8cde83c8f31aa90468c67ce",
        ),
        WeightsFile(
            _WAN,
            "models_t5_umt5-xxl-enc-bf16.pth",
            "text_encoder",
            11_361_920_418,
            "7cace0da2b446bbbbc57d031ab6cf163a3d59b366da94e5afe36745b746fd81d",
        ),
        _tokenizer(
            "special_tokens_map.json",
            6_623,
            "7b8a9f5040adb67b5805abdfd42c1f8d0f3d0e711f10726580eb3789cd0ad61d",
        ),
        _tokenizer(
            "spiece.model", 4_548_313, "e3909a67b780650b35cf529ac782ad2b6b26e6d1f849d3fbb6a872905f452458"
        ),
        _tokenizer(
            "tokenizer.json", 16_837_417, "6e197b4d3dbd71da14b4eb255f4fa91c9c1f2068b20a2de2472967ca3d22602b"
        ),
        _tokenizer(
            "tokenizer_config.json",
            61_728,
            "ed9a3a8b0faa71a70a32847e0435fe036e6e112d4df4edb7bb48a921e344dc05",
        ),
        WeightsFile(
            _WAN,
            "Wan2.1_VAE.pth",
            "autoencoder",
            507_609_880,
            "38071ab59bd94681c686fa51d75a1968f64e470262043be31f7a094e442fd981",
        ),
        WeightsFile(
            _TINY,
            "taew2_1.safetensors",
            "tiny_autoencoder",
            22_642_902,
            "04766eac0221b5390b985ae3fdcca652cbb4b1e8b82b28ea7ff89dfad1b1a93f",
        ),
    ),
)

MODELS: tuple[LargeModel, ...] = (LIVEEDIT,)


def named(name: str) -> LargeModel:
    """The model of a name. Raises ModelError for any other."""
    for model in MODELS:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in MODELS)
    raise ModelError(f"there are no weights to fetch for {name[:60]!r}: only for {names}")
