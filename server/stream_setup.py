"""What to copy into OBS and its like for one stream, with the name that was called. Knows no request."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from server.rtmp.address import APP
from server.stream_api import StreamSetup
from server.streams.types import SrtIn, StreamSettings


def setup_of(
    called: tuple[str, str], name: str, settings: StreamSettings, rtmp_port: int, srt_problem: str
) -> StreamSetup:
    """For the operator alone: it holds keys. `called`: see Proxies.called_as. `rtmp_port` 0: none.
    `srt_problem`: in words."""
    base, host = base_of(*called)
    view = f"?{urlencode({'key': settings.view_key})}" if settings.view_key else ""
    key = f"?{urlencode({'key': settings.key})}"
    rtmp = f"rtmp://{host}:{rtmp_port}/{APP}" if rtmp_port else ""
    return StreamSetup(
        whip_url=f"{base}/whip/{name}",
        whip_token=settings.key,
        whep_url=f"{base}/whep/{name}{view}",
        rtmp_server=rtmp,
        rtmp_key=f"{name}{key}" if rtmp else "",
        rtmp_url=f"{rtmp}/{name}{key}" if rtmp else "",
        rtmp_play_url=f"{rtmp}/{name}{view}" if rtmp else "",
        srt_url=_srt(host, settings.srt) if settings.srt else "",
        srt_problem=srt_problem if settings.srt else "",
        watch_url=f"{base}/watch/{name}{view}",
        dock_url=f"{base}/dock/{name}{key}",
    )


def base_of(scheme: str, called: str) -> tuple[str, str]:
    """(URL of the server's root without its slash, host alone) of what was called; localhost for what is no
    host."""
    try:
        parts = urlsplit(f"//{called}")
        host, port = parts.hostname or "localhost", parts.port
    except ValueError:
        host, port = "localhost", None
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}{f':{port}' if port else ''}", host


def _srt(host: str, srt: SrtIn) -> str:
    """FFmpeg and OBS take the latency in microseconds."""
    query = {"mode": "caller", "latency": srt.latency_ms * 1000, "passphrase": srt.passphrase}
    return f"srt://{host}:{srt.port}?{urlencode(query)}"
