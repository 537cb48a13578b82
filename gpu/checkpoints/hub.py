"""What the hub says of a file, and its bytes from any offset on. Its faults become ModelErrors with a remedy.

huggingface_hub knows addresses, tokens, proxies and certificates; its own download starts a broken file anew,
so bytes are asked for here: by xet where hub and library offer it, else by HTTP.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from gpu.checkpoints.catalogue import WeightsFile
from gpu.checkpoints.needs import need
from gpu.checkpoints.xet import xet_bytes
from gpu.errors import ModelError

ASK_S = 15.0  # for the answer to a question about a file
SILENCE_S = 30.0  # without a byte, then the connection is given up and made anew


class CutOff(Exception):
    """The bytes stopped before the end; what has come is good, and the rest may be asked for again."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One file at one commit, as the hub has it. `etag`: sha256 of large files, git's SHA-1 of small ones."""

    file: WeightsFile
    url: str
    etag: str
    size_bytes: int
    revision: str
    xet: Any = None


class Hub:
    """A hub at `endpoint` (None: HF_ENDPOINT or the public one), asked with HF_TOKEN or a saved login."""

    def __init__(self, endpoint: str | None = None, silence_s: float = SILENCE_S) -> None:
        """Raises DeviceError without huggingface_hub."""
        self._library = need("huggingface_hub")
        self._errors = need("huggingface_hub.errors")
        self._utils = need("huggingface_hub.utils")
        self._http = need("httpx2")  # what huggingface_hub speaks through
        self.endpoint = endpoint or need("huggingface_hub.constants").ENDPOINT
        self._silence_s = silence_s

    def ask(self, file: WeightsFile) -> Offer:
        """What the hub has under a file's name. Raises ModelError."""
        revision, endpoint = file.source.revision, self.endpoint
        url = self._library.hf_hub_url(file.source.repo, file.path, revision=revision, endpoint=endpoint)
        with self._plain_words(file):
            said = self._library.get_hf_file_metadata(
                url, timeout=ASK_S, endpoint=endpoint, library_name="relens"
            )
        if not said.commit_hash or not said.etag or said.size is None:
            raise ModelError(
                f"{self.endpoint} does not answer as a hub does (no commit, ETag or size for {file.name}): "
                "check HF_ENDPOINT, and whether a proxy or a page to log in stands in between"
            )
        url = self._library.hf_hub_url(
            file.source.repo, file.path, revision=said.commit_hash, endpoint=endpoint
        )
        return Offer(file, url, said.etag.lower(), said.size, said.commit_hash, said.xet_file_data)

    def bytes_from(self, offer: Offer, start: int, by_xet: bool) -> Generator[bytes, None, None]:
        """A file's bytes in order from `start` on. Raises CutOff for what a new try may mend, ModelError for
        what it will not. Close the iterator to end it before its end."""
        with self._plain_words(offer.file):
            yield from self._by_xet(offer, start) if by_xet else self._by_http(offer, start)

    def has_xet(self, offer: Offer) -> bool:
        """Whether hub and library both speak xet for this file (HF_HUB_DISABLE_XET is heeded)."""
        off = need("huggingface_hub.constants").HF_HUB_DISABLE_XET
        return offer.xet is not None and not off and find_spec("hf_xet") is not None

    def _by_http(self, offer: Offer, start: int) -> Iterator[bytes]:
        headers = self._utils.build_hf_headers(library_name="relens")
        headers |= {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
        session = self._utils.get_session()
        try:
            with session.stream(
                "GET", offer.url, headers=headers, timeout=self._silence_s, follow_redirects=True
            ) as answer:
                if answer.status_code in (408, 429, 500, 502, 503, 504):
                    raise CutOff(f"the hub answered {answer.status_code} {answer.reason_phrase}")
                self._utils.hf_raise_for_status(answer)
                skip = _to_skip(answer, start, offer)
                for chunk in answer.iter_bytes():  # as they come: what waits to be a larger piece can be lost
                    yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
        except self._http.ProxyError:
            raise
        except (self._http.TransportError, ConnectionError) as exc:
            if isinstance(exc, self._errors.OfflineModeIsEnabled):
                raise
            raise CutOff(_reason(exc)) from exc

    def _by_xet(self, offer: Offer, start: int) -> Iterator[bytes]:
        """Whatever goes wrong here, HTTP may still do."""
        try:
            yield from xet_bytes(offer.xet, offer.size_bytes, start, self._silence_s)
        except Exception as exc:  # another library's inner parts, and Rust's errors
            raise CutOff(f"xet: {_reason(exc)}") from exc

    @contextlib.contextmanager
    def _plain_words(self, file: WeightsFile) -> Iterator[None]:
        errors, where = self._errors, urlsplit(self.endpoint).netloc
        repo, by_hand = file.source.repo, "or get the files elsewhere and run `relens models add`"
        try:
            yield
        except errors.GatedRepoError as exc:
            raise ModelError(
                f"{repo} is given only to those who accepted its terms: open {file.source.page}, accept "
                "them, then set HF_TOKEN to a token of that account (or run `hf auth login`)"
            ) from exc
        except (errors.RemoteEntryNotFoundError, errors.RevisionNotFoundError) as exc:
            raise ModelError(
                f"{where} has no {file.path} in {repo} at {file.source.revision}: it was moved or renamed; "
                f"look at {file.source.page}, update relens, {by_hand}"
            ) from exc
        except errors.RepositoryNotFoundError as exc:
            raise ModelError(
                f"{where} has no repository {repo}, or keeps it private: check HF_TOKEN where it is set (a "
                f"wrong one hides public repositories too), {by_hand}"
            ) from exc
        except errors.OfflineModeIsEnabled as exc:
            raise ModelError(
                f"HF_HUB_OFFLINE is set, so {file.path} cannot be fetched: unset it, {by_hand}"
            ) from exc
        except errors.HfHubHTTPError as exc:
            raise ModelError(
                self._refused(file, exc.response.status_code, f"{where} refused {file.name}")
            ) from exc
        except self._http.ProxyError as exc:
            raise ModelError(
                f"the proxy does not let {where} through ({_reason(exc)}): check HTTPS_PROXY and NO_PROXY, "
                f"{by_hand}"
            ) from exc
        except (self._http.HTTPError, ConnectionError) as exc:
            remedy = "check the connection, HTTPS_PROXY where there is a proxy, HF_ENDPOINT where it is set"
            if "CERTIFICATE" in str(exc).upper():
                remedy = "name the certificates of the proxy in between by SSL_CERT_FILE"
            raise ModelError(f"{where} cannot be reached ({_reason(exc)}): {remedy}, {by_hand}") from exc

    def _refused(self, file: WeightsFile, status: int, what: str) -> str:
        if status in (401, 403):
            return f"{what} ({status}): set HF_TOKEN to a token that may read it; see {file.source.page}"
        if status == 429 or status >= 500:
            return (
                f"{what} ({status}): it is busy or down; run the same command later, it goes on where it was"
            )
        return f"{what} ({status}): see {file.source.page}"


def _to_skip(answer: Any, start: int, offer: Offer) -> int:
    """Bytes of an answer before `start`: a server may ignore Range and send all.

    Raises CutOff for an answer that is not this file: a proxy's page would spoil what is there."""
    if answer.status_code == 206:
        said, wanted = answer.headers.get("Content-Range"), f"bytes {start}-{offer.size_bytes - 1}/"
        good = said is None or str(said).startswith(wanted)
    else:
        said = answer.headers.get("Content-Length")
        good = said is None or str(said) == str(offer.size_bytes) or "Content-Encoding" in answer.headers
    if not good:
        raise CutOff(
            f"what came is not the file ({said} instead of {offer.size_bytes} bytes from {start} on)"
        )
    return start if answer.status_code != 206 else 0


def _reason(exc: BaseException) -> str:
    """An error's own first line; its kind where it says nothing."""
    text = str(exc).strip()
    return text.splitlines()[0][:160] if text else type(exc).__name__
