"""Prompts to token ids, as Wan's text encoder was fed: cleaned, cut at a length, ended by `</s>`.

Reads the tokenizer's files as they are, as Wan's code did through transformers 4. transformers 5 builds T5's
pipeline anew, with `<unk>` at 2 and without byte fallback, whatever the files say (measured with 5.24).
"""

from __future__ import annotations

import html
import re
import unicodedata
from pathlib import Path
from typing import Any

from gpu.checkpoints.fault import tame, unusable
from gpu.checkpoints.needs import need

MAX_CHARS = 10_000  # more than 512 tokens: SentencePiece's pieces have 16 characters at most
_END = "</s>"
_SINGLE_QUOTES = re.compile("[\u02bc\u2018-\u201b]")
_DOUBLE_QUOTES = re.compile("[\u201c-\u201f]")
_WIDE_OR_JOINED = re.compile(
    "[\uff01-\uffef\u3000\ufb00-\ufb06\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3]+"
)
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]")
_ESCAPES = re.compile("\x1b\\[[0-9;]*[A-Za-z]")


def clean(prompt: str) -> str:
    """A prompt as Wan cleans it before its tokenizer (ftfy, HTML entities twice, white space to one blank).

    Of ftfy it does what typed text needs: plain quotes, full-width letters and ligatures, NFC, no control
    characters. Text that was decoded wrongly elsewhere is not repaired."""
    text = prompt[: 2 * MAX_CHARS].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = html.unescape(html.unescape(text))
    text = _ESCAPES.sub("", text)
    text = _WIDE_OR_JOINED.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text)
    text = _DOUBLE_QUOTES.sub('"', _SINGLE_QUOTES.sub("'", text))
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    return re.sub(r"\s+", " ", text).strip()[:MAX_CHARS]


class Tokenizer:
    """A folder's tokenizer: `tokenizer.json` (tokenizers), or `spiece.model` (SentencePiece)."""

    def __init__(self, folder: Path, model: str) -> None:
        """`model` is the name whose tokenizer is expected; only messages use it. Raises ModelError."""
        self._model = model
        self._folder = folder
        whole, pieces = folder / "tokenizer.json", folder / "spiece.model"
        path = whole if whole.is_file() else pieces
        if not path.is_file():
            raise unusable(folder, "holds no tokenizer (tokenizer.json or spiece.model)", model)
        try:
            self._ids, self.size, end = _from_json(path) if path == whole else _from_pieces(path)
        except Exception as exc:  # both libraries raise bare Exceptions and RuntimeErrors of their own
            raise unusable(path, f"is no tokenizer or damaged ({tame(str(exc))})", model) from exc
        if end is None or end < 0:
            raise unusable(path, f"has no token {_END}", model)
        self._end: int = end

    def ids(self, text: str, longest: int) -> list[int]:
        """Ids of cleaned text, 1 to `longest` of them, the last one `</s>`."""
        return [*self._ids(text)[: longest - 1], self._end]


def _from_json(path: Path) -> tuple[Any, int, int | None]:
    tokenizer = need("tokenizers").Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    return ids, tokenizer.get_vocab_size(with_added_tokens=True), tokenizer.token_to_id(_END)


def _from_pieces(path: Path) -> tuple[Any, int, int | None]:
    pieces = need("sentencepiece").SentencePieceProcessor(model_file=str(path))

    def ids(text: str) -> list[int]:
        return list(pieces.encode(text))

    return ids, pieces.get_piece_size(), pieces.eos_id()
