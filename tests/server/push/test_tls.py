"""Names for the tee muxer, whatever is in them; which authorities are believed."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from server.push.tls import authorities, tee
from tests.server.streams.stream_parts import clip


@pytest.mark.parametrize(
    "name", ["plain.flv", "a|b.flv", "it's [f=mpegts] a:b=c.flv", "back\\slash \\|.flv", " x .flv"]
)
def test_a_tee_writes_to_the_very_name(tmp_path: Path, name: str) -> None:
    keyframe = clip(frames=1)[0]
    with av.open(tee(f"{tmp_path}/{name}", {"f": "flv"}), "w", format="tee") as container:
        stream = container.add_mux_stream("h264", rate=30, width=96, height=64)
        packet = av.Packet(keyframe.data)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
        container.mux(packet)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["ca-certificates.crt", "ca-bundle.crt"])
def test_the_file_of_authorities_is_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    none = tmp_path / "none"
    monkeypatch.setenv("SSL_CERT_FILE", str(none))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert authorities() == ""
    bundle = tmp_path / name
    bundle.write_text("")
    assert authorities() == str(bundle)
    none.write_text("")
    assert authorities() == str(none)
