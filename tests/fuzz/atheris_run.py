"""Coverage-guided fuzzing of the same targets: `python tests/fuzz/atheris_run.py [--runs N] [--target NAME]`.

Each target runs in a process of its own, because libFuzzer ends the process it runs in. Same seed, same runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

ROOT = Path(__file__).resolve().parents[2]


def fuzz(name: str, runs: int, seed: int) -> None:
    """Does not return: libFuzzer exits, with 0 when nothing was found."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    with atheris.instrument_imports(include=["server", "gpu"]):
        import fuzz_targets

    target = dict(fuzz_targets.targets())[name]
    atheris.Setup(
        [sys.argv[0], f"-runs={runs}", f"-seed={seed}", "-max_len=2048", "-rss_limit_mb=2048"], target
    )
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", help="only this one, in this process")
    options = parser.parse_args()
    if options.target:
        fuzz(options.target, options.runs, options.seed)
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    import fuzz_targets

    failed = []
    for name, _ in fuzz_targets.targets():
        command = [
            sys.executable,
            __file__,
            "--target",
            name,
            "--runs",
            str(options.runs),
            "--seed",
            str(options.seed),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, check=False, cwd=gettempdir()
        )
        print(f"{name}: {'nothing found' if done.returncode == 0 else 'FOUND'}")
        if done.returncode:
            failed.append(name)
            print(done.stdout[-2000:], done.stderr[-4000:], sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
