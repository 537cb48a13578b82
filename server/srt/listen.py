"""What FFmpeg is told to listen to one port by SRT, without the passphrase in its arguments. Pure."""

from __future__ import annotations

from server.streams.types import SrtIn

SILENT_S = 15.0  # a caller that sends nothing for so long is gone; by RTMP as well
BETWEEN = "nut"  # says where a packet ends: MPEG-TS once more would hold each picture until the next one
_PROTOCOLS = "pipe,srt,udp"  # SRT is opened as itself; nothing else can be named from inside


def command(ffmpeg: str, sound: bool = True) -> list[str]:
    """It reads `script` on its standard input and writes what the caller sends to its output, its first sound
    among it or not."""
    sounds = ["-map", "0:a:0?"] if sound else []
    return [
        ffmpeg, "-hide_banner", "-nostats", "-loglevel", "error",
        "-protocol_whitelist", _PROTOCOLS, "-f", "concat", "-safe", "0", "-i", "pipe:0",
        "-map", "0:v:0", *sounds, "-c", "copy", "-copy_unknown",
        "-max_interleave_delta", "200000", "-flush_packets", "1", "-f", BETWEEN, "pipe:1",
    ]  # fmt: skip


def script(host: str, settings: SrtIn, silent_s: float = SILENT_S) -> str:
    """A list of one file, for FFmpeg's concat demuxer: that is how the options come without being shown.

    `silent_s`: without a packet of its caller for so long FFmpeg ends; for a caller it waits for ever."""
    shown = f"[{host}]" if ":" in host else host
    options = {
        "mode": "listener",
        "passphrase": settings.passphrase,
        "timeout": str(
            round(silent_s * 1_000_000)
        ),  # libavformat/libsrt.c: of reading alone, not of listening
        "latency": str(settings.latency_ms * 1000),  # microseconds
        "format_whitelist": "mpegts",  # no playlist that names other addresses
        "probesize": "300000",
        "analyzeduration": "2000000",
    }
    lines = [f"option {name} {_quoted(value)}" for name, value in options.items()]
    return "\n".join(["ffconcat version 1.0", f"file 'srt://{shown}:{settings.port}'", *lines, ""])


def _quoted(value: str) -> str:
    """For av_get_token (libavutil/avstring.h)."""
    return "'" + value.replace("'", "'\\''") + "'"
