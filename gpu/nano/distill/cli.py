"""`relens distill`: makes `nano` anew, from pictures to a model card. Parses arguments only.

Imports nothing heavy until a command needs it: without the `distill` extra it says what to install.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu.nano.distill.leftovers import absent, remove_empty

EXTRA = ("torch", "cv2", "onnx", "onnxscript", "tqdm")
INSTALL = "relens distill needs the training tools ({missing} is missing): pip install -e '.[distill]'"
BAD_USE = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """How one part of `nano` is trained and exported."""

    task: str  # module:Class for gpu.nano.distill.loop; "" : nothing is learned
    exporter: str  # module with export()
    teachers: tuple[tuple[str, str], ...] = ()  # (option of the task, file in DATA/teachers)
    minutes: float = 30.0  # on two CPU cores, as shipped


_AT = "gpu.nano.distill"
KINDS: dict[str, Kind] = {
    "look": Kind(f"{_AT}.look:Looks", f"{_AT}.look"),
    "draw": Kind(f"{_AT}.draw:Draw", f"{_AT}.draw"),
    "paint": Kind(f"{_AT}.paint:Paint", f"{_AT}.paint", (("teacher", "multistyle26.onnx"),)),
    "person": Kind(f"{_AT}.person:PersonTask", f"{_AT}.person", (("teacher", "selfie_segmentation.tflite"),)),
}
TEXT, MEANING = "gpu.nano.text.train", "gpu.nano.text.meaning"
RATE = 2e-3  # of every part but text, which has its own
_ENDLESS = 10**9  # steps: the minutes end it
_MADE = ("out", "weights", "download")  # arguments that name folders which commands make


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: 0 when done, 2 for unusable input. Raises SystemExit with a remedy."""
    parser = _parser()
    args = parser.parse_args(arguments)
    new = absent(path for name in _MADE if (path := getattr(args, name, None)))
    code = BAD_USE
    try:
        code = int(args.run(args))
        return code
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        print(f"relens: {INSTALL.format(missing=missing)}", file=sys.stderr)
        return BAD_USE
    finally:
        if code:
            remove_empty(new)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="relens distill",
        description="Make nano anew: prepare pictures, train the parts, export, evaluate, write its card.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    prepare = commands.add_parser("prepare", help="a pool of pictures and the teachers' files")
    prepare.add_argument("--out", type=Path, required=True, metavar="DATA", help="where pool and teachers go")
    prepare.add_argument("--download", type=Path, metavar="DIR", help="fetch the model card's packages here")
    prepare.add_argument(
        "--folder", type=Path, action="append", default=[], metavar="DIR", help="your own pictures and videos"
    )
    prepare.add_argument("--ditto", type=Path, metavar="DIR", help="a copy of Ditto-1M, as it is published")
    prepare.add_argument(
        "--ditto-most", type=_count, default=2000, metavar="N", help="pictures of it at most"
    )
    prepare.add_argument("--seed", type=int, help="of what is laid on what")
    prepare.set_defaults(run=_prepare)

    train = commands.add_parser("train", help="train one part; resumable, with a live contact sheet")
    train.add_argument("kind", choices=[*KINDS, "text"])
    train.add_argument("--data", type=Path, metavar="DATA", help="what `prepare` wrote; text needs none")
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint and contact sheet")
    train.add_argument("--minutes", type=_above_0, help="how long (30; text: until its steps are done)")
    train.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint in DIR")
    train.add_argument("--rate", type=_above_0, help=f"highest learning rate ({RATE:g}; text: its own)")
    train.add_argument("--threads", type=_count, default=1)
    train.add_argument("--workers", type=_count, default=1, help="processes that make batches")
    train.add_argument("--bf16", action="store_true", help="faster on GPUs and CPUs with AVX-512 bf16")
    train.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="for the task")
    train.set_defaults(run=_train)

    export = commands.add_parser("export", help="checkpoints to ONNX files and experts.npz")
    export.add_argument("kind", nargs="*", default=[], help=f"of {', '.join(KINDS)}; all that are there")
    export.add_argument("--checkpoints", type=Path, required=True, metavar="DIR", help="what `train` wrote")
    export.add_argument("--weights", type=Path, required=True, metavar="DIR", help="the model's new folder")
    export.set_defaults(run=_export)

    evaluate = commands.add_parser("evaluate", help="the model against its teachers on held-out clips")
    evaluate.add_argument("clip", type=Path, nargs="+", help="videos or photographs never trained on")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DATA", help="for its teachers")
    evaluate.add_argument("--weights", type=Path, metavar="DIR", help="of the model (those in the package)")
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR", help="results, sheets, report")
    evaluate.add_argument("--edits", help="comma-separated names (all)")
    evaluate.add_argument("--frames", type=_count, default=8)
    evaluate.add_argument("--size", default="640x480")
    evaluate.add_argument("--threads", type=_count, default=2)
    evaluate.set_defaults(run=_evaluate)

    card = commands.add_parser("card", help="write the tables of a report into the model card")
    card.add_argument("report", type=Path, help="report.json of `evaluate` or `python -m bench nano-report`")
    card.add_argument("--card", type=Path, help="the card to write into (the package's)")
    card.set_defaults(run=_card)
    return parser


def _above_0(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _prepare(args: argparse.Namespace) -> int:
    from gpu.nano.distill import prepare

    return prepare.run(args)


def _train(args: argparse.Namespace) -> int:
    import torch

    if args.kind == "text":
        return _train_text(args)
    if args.data is None:
        raise SystemExit(
            f"{args.kind} needs pictures: give --data DATA, which `relens distill prepare` writes"
        )
    from gpu.nano.distill import loop
    from gpu.nano.distill.prepare import POOL, TEACHERS

    kind = KINDS[args.kind]
    given = {option.partition("=")[0] for option in args.option}
    options = list(args.option)
    for name, file in kind.teachers:
        path = args.data / TEACHERS / file
        if name in given:
            continue
        if not path.exists():
            raise SystemExit(
                f"the teacher of {args.kind} is missing ({path}): run `relens distill prepare --download DIR "
                f"--out {args.data}`, or give --option {name}=FILE"
            )
        options.append(f"{name}={path}")
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    command = [kind.task, "--pool", args.data / POOL, "--out", args.out, "--device", device]
    command += ["--minutes", args.minutes or kind.minutes, "--rate", args.rate or RATE]
    command += ["--threads", args.threads, "--workers", args.workers]
    command += ["--resume"] * args.resume + ["--bf16"] * args.bf16
    command += [word for option in options for word in ("--option", option)]
    loop.main([str(word) for word in command])
    return 0


def _train_text(args: argparse.Namespace) -> int:
    """Its length is a number of steps (--option steps=N) or --minutes. With encoder and WordNet in
    DATA/teachers it also learns where free English lies; without them from its own sentences alone."""
    from gpu.nano.distill.prepare import TEACHERS

    checkpoint = args.out / "text.pt"
    _check_text(args, checkpoint)
    args.out.mkdir(parents=True, exist_ok=True)
    options = {"out": str(args.out / "text.npz"), "save": str(checkpoint)}
    if args.minutes is not None:
        options |= {"minutes": str(args.minutes), "steps": str(_ENDLESS)}
    if args.rate is not None:
        options["rate"] = str(args.rate)
    if args.resume:
        options["start"] = str(checkpoint)
    if args.data is not None:
        teachers, meaning = args.data / TEACHERS, args.out / "meaning.npz"
        found = {name: teachers / name for name in ("encoder", "wordnet")}
        if not meaning.exists() and all(path.is_dir() for path in found.values()):
            folders = {name: str(path) for name, path in found.items()}
            if code := _run(MEANING, {**folders, "out": str(meaning)}):
                return code
        if meaning.exists():
            options["meaning"] = str(meaning)
    options |= dict(option.split("=", 1) for option in args.option)
    return _run(TEXT, options)


def _check_text(args: argparse.Namespace, checkpoint: Path) -> None:
    """Raises SystemExit for what the other parts take and text does not."""
    if args.device == "cuda":
        raise SystemExit("text is trained on the CPU, in minutes: leave --device cuda out")
    if args.bf16:
        raise SystemExit("text always trains in bf16 where the CPU has it: leave --bf16 out")
    for name in ("threads", "workers"):
        if getattr(args, name) != 1:
            raise SystemExit(
                f"text is trained by one thread, or its weights would depend on how many: leave --{name} out"
            )
    if wrong := [option for option in args.option if "=" not in option]:
        raise SystemExit(f"--option {wrong[0]} is no KEY=VALUE")
    if args.resume and not checkpoint.exists():
        raise SystemExit(f"there is no {checkpoint} to go on from: leave --resume out")


def _run(module: str, options: dict[str, str]) -> int:
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return subprocess.run([sys.executable, "-m", module, *words], check=False).returncode


def _export(args: argparse.Namespace) -> int:
    from gpu.nano.distill import assemble

    if unknown := sorted(set(args.kind) - set(KINDS)):
        raise SystemExit(f"there is no {unknown[0]} to export: choose of {', '.join(KINDS)}")
    exporters = {name: kind.exporter for name, kind in KINDS.items()}
    return assemble.export(args.kind, exporters, args.checkpoints, args.weights)


def _evaluate(args: argparse.Namespace) -> int:
    from gpu.nano.distill import evaluate

    return evaluate.run(args)


def _card(args: argparse.Namespace) -> int:
    from gpu.nano.distill import card

    return card.run(args)


if __name__ == "__main__":
    sys.exit(main())
