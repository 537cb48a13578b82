"""Where a child that pushes writes to: a platform by RTMP, or FFmpeg by a pipe, which sends SRT on. Blocking.

libav's RTMP holds Python's lock while it connects: this runs in a child process, which is watched.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from gpu.film import sandbox
from server.push import ffmpeg, tls

_VIDEO, _AUDIO = Fraction(1, 90_000), Fraction(1, 48_000)
_INTERLEAVE_US = 1_000_000  # sound is filled up with silence, so nothing waits that long
_END_S = 2.0
_MOST_WORDS = 4096
_NOBODY = (
    "this server knows no certificate authority, so no key was sent: install ca-certificates, or name their "
    "file by SSL_CERT_FILE"
)
_NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * 184  # of MPEG-TS: means nothing (ISO/IEC 13818-1 §2.4.3.3)
_OPEN = "Output #0"  # FFmpeg says so when the other side has taken it


class Refused(Exception):
    """The platform said no; the text is the platform's."""


class Unreachable(Exception):
    """It could not be spoken to, or not any more."""


class Container:
    """H.264 (Annex-B) and AAC in one container, by libav."""

    def __init__(self, file: Any, kind: str, size: tuple[int, int], authorities: str = "") -> None:
        """`file`: a URL, or what has `write`. `kind`: flv or mpegts. `authorities`: the file of those who
        vouch for the URL's certificate; "" where it has none."""
        interleaved = {"max_interleave_delta": str(_INTERLEAVE_US)}
        options = {"flush_packets": "1"} | interleaved
        options |= (
            {"flvflags": "no_duration_filesize"} if kind == "flv" else {"mpegts_flags": "resend_headers"}
        )
        if authorities:
            file = tls.tee(file, {"f": kind} | options | tls.checked(authorities))
            kind, options = "tee", interleaved
        self._container = av.open(file, "w", format=kind, options=options)
        self._video = self._container.add_mux_stream("h264", rate=30, width=size[0], height=size[1])
        self._video.time_base = _VIDEO
        self._audio = self._container.add_stream("aac", rate=48_000, layout="stereo")  # only says its config

    def video(self, data: bytes, pts: int, keyframe: bool) -> None:
        self._mux(self._video, _VIDEO, data, pts, keyframe)

    def audio(self, data: bytes, pts: int) -> None:
        self._mux(self._audio, _AUDIO, data, pts, True)

    def close(self) -> None:
        self._container.close()

    def _mux(self, stream: Any, time_base: Fraction, data: bytes, pts: int, keyframe: bool) -> None:
        packet = av.Packet(data)
        packet.stream, packet.time_base = stream, time_base
        packet.pts = packet.dts = pts
        packet.is_keyframe = keyframe
        self._container.mux(packet)


class RtmpOutput:
    """Connects at the first frame."""

    def __init__(self, order: dict[str, Any], size: tuple[int, int]) -> None:
        av.logging.set_level(av.logging.ERROR)  # the platform's reason is among what libav says
        authorities = tls.authorities() if order["scheme"] == "rtmps" else ""
        if order["scheme"] == "rtmps" and not authorities:
            raise Refused(_NOBODY)
        self._container = Container(order["url"], "flv", size, authorities)
        self._sealed = False

    def video(self, data: bytes, pts: int, keyframe: bool) -> None:
        with _told():
            self._container.video(data, pts, keyframe)
        if not self._sealed:  # connected: nothing more is opened, whatever the platform sends back
            self._sealed = True
            sandbox.seal()

    def audio(self, data: bytes, pts: int) -> None:
        with _told():
            self._container.audio(data, pts)

    def close(self) -> None:
        with _told():
            self._container.close()


class SrtOutput:
    """MPEG-TS to FFmpeg, which passes it on as it is. Connects when it is made."""

    def __init__(self, order: dict[str, Any], size: tuple[int, int]) -> None:
        options = ffmpeg.given("".join(f"{name}={value}\n" for name, value in order["options"]))
        command = [order["ffmpeg"], "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"]
        command += [
            "-f",
            "data",
            "-i",
            "pipe:0",
            "-map",
            "0",
            "-c",
            "copy",
            "-flush_packets",
            "0",
            "-f",
            "data",
        ]
        command += ["-fpre", f"/dev/fd/{options}", order["url"]]
        try:
            self._process = ffmpeg.start(command, stdin=subprocess.PIPE, pass_fds=(options,))
        finally:
            os.close(options)
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._to, self._words = self._process.stdin.fileno(), self._process.stderr.fileno()
        os.set_blocking(self._words, False)
        os.write(self._to, _NULL_PACKET * 7)  # FFmpeg opens nothing before something came in
        self._said = ""
        while _OPEN not in self._said:  # who started this process waits no longer than it likes
            select.select([self._words], [], [])
            if not self._listen():
                raise self._end()
        self._said = ""
        self._container = Container(self, "mpegts", size)

    def write(self, data: bytes) -> int:
        """For libav: to FFmpeg's pipe."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._to, view) :]
        return len(data)

    def video(self, data: bytes, pts: int, keyframe: bool) -> None:
        with self._watched():
            self._container.video(data, pts, keyframe)

    def audio(self, data: bytes, pts: int) -> None:
        with self._watched():
            self._container.audio(data, pts)

    def close(self) -> None:
        with self._watched():
            self._container.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        self._process.kill()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._end() from error
        if not self._listen():
            raise self._end()

    def _listen(self) -> bool:
        """Keep the newest of what FFmpeg says; False when it has ended."""
        try:
            data = os.read(self._words, _MOST_WORDS)
        except BlockingIOError:
            return True
        self._said = (self._said + data.decode("utf-8", "replace"))[-_MOST_WORDS:]
        return bool(data)

    def _end(self) -> Exception:
        """By FFmpeg's last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        self._process.kill()
        self._listen()
        return srt_words(self._said)


def srt_words(said: str) -> Exception:
    """What the words of FFmpeg and libsrt mean (libavformat/libsrt.c; srt_rejectreason_str of libsrt)."""
    low = said.lower()
    if "passphrase" in low or "badsecret" in low:
        return Refused("it does not take the passphrase")
    if "reject" in low:
        return Refused("it rejected the connection: is the stream id right?")
    if "timeout" in low or "timed out" in low:
        return Unreachable("nobody answers there by SRT")
    return Unreachable("the SRT connection failed, or ended")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """libav's errors as ours."""
    with av.logging.Capture() as heard:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            # The tee quotes its options, and with them the file of certificates.
            said = [message.strip() for _, by, message in heard if by != "tee"]
            raise rtmp_words(error, said) from error


def rtmp_words(error: OSError | av.FFmpegError, said: list[str]) -> Exception:
    """What libav's error means, with all that it said of it (libavformat/rtmpproto.c, tls_gnutls.c)."""
    for line in said:
        if "server error" in line.lower():
            return Refused(line.partition(":")[2] or line)
        if "certificate" in line.lower():
            return Refused(f"its certificate is not valid ({line}): no key was sent")
    if isinstance(error, ConnectionRefusedError):
        return Unreachable("nobody listens there (connection refused)")
    if any("cannot open connection" in line.lower() for line in said):
        return Unreachable("it cannot be reached: are the host's name and the port right?")
    if isinstance(error, ConnectionResetError | BrokenPipeError | EOFError):
        return Unreachable("it closed the connection")
    return Unreachable(f"it broke off ({error.strerror or type(error).__name__})")
