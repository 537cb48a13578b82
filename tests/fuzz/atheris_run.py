"""Coverage-guided fuzzing of the same targets: `python tests/fuzz/atheris_run.py [--runs N] [--target NAME]`.

Each target runs in a process of its own, because libFuzzer ends the process it runs in; they begin as copies
of this one, where everything is imported and instrumented already. Same seed, same runs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
TARGET_S = 600.0


def fuzz(target: Callable[[bytes], None], runs: int, seed: int) -> None:
    """Does not return: libFuzzer exits, with 0 when nothing was found."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

    atheris.Setup(
        [sys.argv[0], f"-runs={runs}", f"-seed={seed}", "-max_len=2048", "-rss_limit_mb=2048"], target
    )
    atheris.Fuzz()


def _said_into(log: Path, target: Callable[[bytes], None], runs: int, seed: int) -> None:
    with log.open("wb") as file:
        for output in (1, 2):
            os.dup2(file.fileno(), output)
    os.chdir(log.parent)  # where libFuzzer leaves what it found
    fuzz(target, runs, seed)


def aside(target: Callable[[bytes], None], runs: int, seed: int) -> tuple[int | None, str]:
    """(exit code, None: it did not end in time; what was said) of a process that fuzzes one target."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        child = multiprocessing.get_context("fork").Process(target=_said_into, args=(log, target, runs, seed))
        child.start()
        child.join(TARGET_S)
        code = child.exitcode
        if code is None:
            child.kill()
            child.join()
        return code, log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", help="only this one, in this process")
    options = parser.parse_args()
    import atheris

    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    with atheris.instrument_imports(include=["server", "gpu"]):
        import fuzz_targets

    if options.target:
        fuzz(dict(fuzz_targets.targets())[options.target], options.runs, options.seed)
    failed = []
    for name, target in fuzz_targets.targets():
        code, said = aside(target, options.runs, options.seed)
        print(f"{name}: {'nothing found' if code == 0 else 'FOUND'}", flush=True)
        if code != 0:
            failed.append(name)
            print(said[-6000:])
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
