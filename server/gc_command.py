"""`relens gc`: removes what nobody needs any more, as the server does every hour by itself."""

from __future__ import annotations

import argparse

from gpu.checkpoints.fault import size_text
from server.config import Config

NO_GRACE_S = 3600.0  # enough for whoever just wrote a blob to name it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What comes after `relens gc`, besides settings."""
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and leave it")
    parser.add_argument(
        "--now", action="store_true", help="also what was written, or cancelled, an hour to a day ago"
    )


def run(config: Config, *, dry_run: bool, now: bool) -> int:
    """Prints a line for each thing that goes. Safe beside a running server. Raises KeptError."""
    from server.kept.kept import Kept

    kept = Kept.open(config.data_dir, config.database_url, config.storage_url)
    try:
        made = kept.collect(config.keep_days, dry_run=dry_run, grace_s=NO_GRACE_S if now else None)
    finally:
        kept.close()
    for line in made.lines:
        print(line)
    counts = f"{made.uploads} uploads, {made.videos} videos, {made.sessions} sessions, {made.blobs} blobs"
    print(f"{'would free' if dry_run else 'freed'} {size_text(made.bytes)}: {counts}")
    return 0
