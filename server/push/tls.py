"""How libav is told to look at a platform's certificate, on the very connection that the key goes over. Pure.

PyAV opens what it writes without options for the protocol; the tee muxer hands on what it is given
(libavformat/tee.c), also with one output alone.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

_BUNDLES = ("ca-certificates.crt", "ca-bundle.crt")  # of Debian's and Fedora's folders, where none is named


def authorities() -> str:
    """The file of all whom this machine believes, "" where there is none: libav takes no folder."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    bundles = [Path(paths.capath, name) for name in _BUNDLES] if paths.capath else []
    return next((str(bundle) for bundle in bundles if bundle.is_file()), "")


def tee(url: str, options: Mapping[str, str]) -> str:
    """The name of a tee with this output: the muxer's options, then the protocol's."""
    said = ":".join(f"{name}={_escaped(value, ':[]=')}" for name, value in options.items())
    return _escaped(f"[{said}]{url}", "|")


def checked(file: str) -> dict[str, str]:
    """The options of TLS: who does not show a certificate that `file` vouches for, for the host's name, is
    hung up on (libavformat/tls.c)."""
    return {"tls_verify": "1", "ca_file": file}


def _escaped(text: str, special: str) -> str:
    """For av_get_token (libavutil/avstring.h), which undoes it."""
    return "".join(f"\\{char}" if char in special or char in "\\' \t\r\n" else char for char in text)
