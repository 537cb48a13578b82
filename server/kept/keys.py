"""How blobs are named. What a key begins with says who owns it, and so whether anybody still does.

videos/<video id>/…  of that video: its bytes, thumbnails
jobs/<job id>/…      of that job: its init segment, result
work/<work key>      a rendered span; of every segment that names the work key
"""

from __future__ import annotations

import re

from server.kept.errors import KeptError

MOST_CHARS = 500  # S3 takes 1024 with the prefix before it
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"  # no "..", no hidden file, no "#": LocalStore's unfinished ones
_KEY = re.compile(rf"{_PART}(?:/{_PART})*")


def check_key(key: str) -> str:
    """The same. Raises KeptError for what could leave the folder, or differ between storages."""
    if len(key) > MOST_CHARS or not _KEY.fullmatch(key):
        raise KeptError(f"{key[:80]!r} is no key: letters, digits and _ - . between single slashes")
    return key


def video_key(video_id: str, name: str) -> str:
    return check_key(f"videos/{video_id}/{name}")


def job_key(job_id: str, name: str) -> str:
    return check_key(f"jobs/{job_id}/{name}")


def work_blob(work_key: str) -> str:
    return check_key(f"work/{work_key}")
