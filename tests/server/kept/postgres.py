"""A private PostgreSQL in a temporary folder, on a Unix socket alone, as a user that is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

START_S = 40.0


def found() -> Path | None:
    """The folder of initdb and postgres, the newest."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.insert(0, Path(on_path).resolve().parent)
    for folder in reversed(folders):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None


class Cluster:
    """Runs while the context is open. `restart` is what an operator's restart is to us."""

    def __init__(self) -> None:
        folder = found()
        assert folder is not None
        self._programs = folder
        self._folder = Path(tempfile.mkdtemp(prefix="relens-pg-", dir="/tmp"))  # a socket's path is short
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("nobody")
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._run(
                "initdb",
                "-D",
                "data",
                "-U",
                "relens",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
                "--no-locale",
            )
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, name: str) -> str:
        return f"postgresql://relens@/{name}?host={self._folder}"

    def make_database(self, name: str) -> str:
        import psycopg

        with psycopg.connect(
            f"host={self._folder} user=relens dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def start(self) -> None:
        import psycopg

        # fsync off: no test cuts the power
        settings = {"listen_addresses": "", "unix_socket_directories": str(self._folder), "fsync": "off"}
        words = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", *words],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=_ENVIRONMENT, **self._as,
            )  # fmt: skip
        until = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(f"host={self._folder} user=relens dbname=postgres", connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()[-2000:]) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """At once: connections are broken off."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)  # immediate shutdown; recovered at the next start
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self._programs / program, *words],
            cwd=self._folder, capture_output=True, timeout=60, env=_ENVIRONMENT, check=False, **self._as,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()[-2000:]


_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/tmp", "TZ": "UTC"}
