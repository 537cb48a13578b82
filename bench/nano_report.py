"""`python -m bench nano-report`: all that is to be shown of `nano`, on held-out clips.

Runs the real model (engine, cache, bytes) beside its teachers. Results are kept in --out, made again where
weights, teachers or clips changed: a run can be taken in parts (--edits, --only). Needs the `distill` extra.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.figures import Progress, json_line
from bench.machine import describe

PARTS = ("teachers", "edits", "weather", "mask", "drift", "text", "speed")
OUT = Path(__file__).parent / "out" / "nano"
CARD_PICTURES = Path(__file__).parent.parent / "gpu" / "nano" / "card"
STATE = "trials.json"
QUICK = {"frames": 4, "size": "320x240", "drift_frames": 480, "speed_frames": 40}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clip", type=Path, nargs="+", help="held-out videos or photographs (DATA/held_out/*)"
    )
    parser.add_argument("--data", type=Path, required=True, help="what `relens distill prepare` wrote")
    parser.add_argument("--weights", type=Path, help="of the model (those in the package)")
    parser.add_argument("--out", type=Path, default=OUT, help="results, sheets, plots")
    parser.add_argument("--edits", help="comma-separated names (all)")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run; the rest as last measured")
    parser.add_argument("--frames", type=int, default=8, help="of a clip")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--drift-frames", type=int, default=14_400, help="ten minutes at 24 a second")
    parser.add_argument("--speed-frames", type=int, default=150)
    parser.add_argument("--quick", action="store_true", help=f"to try it out: {QUICK}")
    parser.add_argument("--card", action="store_true", help="copy sheets and plots beside the model card")


def trials(args: argparse.Namespace, parts: Sequence[str]) -> dict[str, Any]:
    """Run the parts that are asked for; the others as stored by earlier runs. Plain numbers."""
    from gpu.nano.distill import trials as run
    from gpu.nano.distill.evaluate import chosen_edits, fill_shelf, floor, measure, open_bench

    path = args.out / STATE
    state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def keep(name: str, value: Any) -> None:
        state[name] = value
        args.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json_line(state))

    bench = open_bench(args)
    try:
        if "teachers" in parts:
            fill_shelf(bench, chosen_edits(args.edits))
        if "edits" in parts:
            measure(bench, chosen_edits(args.edits))
            keep("floor", {clip.name: floor(clip) for clip in bench.clips})
        first = bench.clips[min(1, len(bench.clips) - 1)].clean[0]
        if "weather" in parts:
            found = run.weather(bench.student, first)
            keep("weather", {name: _fields(tracks) for name, tracks in found.items()})
        if "mask" in parts:
            keep("mask", run.person_iou(bench.student, bench.teachers, bench.clips))
        if "drift" in parts:
            for edit in run.DRIFT_EDITS:
                bar = Progress(args.drift_frames, f"drift {edit}")
                made = run.drift(
                    bench.student,
                    first,
                    edit,
                    args.drift_frames,
                    partial(_show_drift, bar),
                )
                keep("drift", {**state.get("drift", {}), edit: _fields(made)})
    finally:
        bench.student.close()
    if "text" in parts:
        keep("text", paraphrases())
    if "speed" in parts:
        from bench import nano_speed

        load = describe()["load1"]
        keep("speed", {**nano_speed.measure(args.size, args.threads, args.speed_frames), "load": load})
    return state


def _show_drift(bar: Progress, done: int) -> None:
    if done % 480 == 0:
        bar.show(done)


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def paraphrases() -> dict[str, tuple[int, int]]:
    """(read exactly right, of) the paraphrases no training saw; the hand-written ones apart."""
    from gpu.nano.text import TextTower
    from tests.gpu.nano.paraphrase_rules import by_rules
    from tests.gpu.nano.paraphrases import read_file

    tower, folder = TextTower.load(), Path(__file__).parent.parent / "tests" / "gpu" / "nano"
    files = [read_file(folder / f"paraphrases{name}.txt") for name in ("", "_more", "_fourth")]
    third = read_file(folder / "paraphrases_third.txt")  # of which nobody looked at any
    groups = {
        "by rules": by_rules(),
        "by hand, misses looked at while training": [one for file in files for one in file[0::2]],
        "by hand, never looked at": [*(one for file in files for one in file[1::2]), *third],
    }
    return {name: (sum(p.is_read_by(tower) for p in told), len(told)) for name, told in groups.items()}


def compile_rows(args: argparse.Namespace, state: dict[str, Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """(rows of what must be shown, rows of the cache's ablation, scores)."""
    from bench.nano_speed import BOUND_MS, WHOLE
    from gpu.nano.distill import verdict
    from gpu.nano.distill.clips import name_of
    from gpu.nano.distill.evaluate import load_scores
    from gpu.nano.distill.tracking import Tracks
    from gpu.nano.distill.trials import Drift

    scores = load_scores(args.out, [name_of(path) for path in args.clip])
    moving, still = ([s for s in scores if verdict.is_still(s) is stands] for stands in (False, True))
    rows = verdict.fidelity(moving) + verdict.calm(moving) + verdict.calm(still, " from a stand")
    rows += verdict.alive({name: Tracks(**t) for name, t in state.get("weather", {}).items()})
    if "mask" in state:
        rows += verdict.masks(state["mask"])
    rows += verdict.still({edit: Drift(**d) for edit, d in state.get("drift", {}).items()})
    for name, (right, of) in state.get("text", {}).items():
        what = f"paraphrases {name}"
        rows.append(verdict.Row(what, "≥ 95 %", f"{right / of:.1%} of {of}", right / of >= 0.95))
    for case, t in state.get("speed", {}).get(WHOLE, {}).items():
        met = t["p50"] <= BOUND_MS[0] and t["p95"] <= BOUND_MS[1]
        text = f"{t['p50']:.1f} / {t['p95']:.1f}"
        rows.append(verdict.Row(f"time a frame, {case}, p50 / p95 ms", "≤ 22 / 35", text, met))
    return rows, verdict.cache(scores), scores


def write(args: argparse.Namespace, state: dict[str, Any], machine: dict[str, Any]) -> list[Any]:
    """report.json, sheets and plots; prints the tables. Returns the rows."""
    from bench.nano_plots import plots
    from gpu.models.nano import WEIGHTS
    from gpu.nano.distill import verdict
    from gpu.nano.distill.clips import name_of
    from gpu.nano.distill.evaluate import table, write_sheets

    rows, ablation, scores = compile_rows(args, state)
    moving = [s for s in scores if not verdict.is_still(s)]
    clips = [name_of(path) for path in args.clip]
    filmed = [clip for clip in clips if not clip.endswith("_still")]
    pictures = write_sheets(args.out, filmed) + plots(args.out, moving)
    graphs = [
        f"| {name} | {t['p50']:.1f} | {t['p95']:.1f} |"
        for name, t in state.get("speed", {}).get("graphs", {}).items()
    ]
    minutes = json.loads(((args.weights or WEIGHTS) / "nano.json").read_text()).get("trained_minutes", {})
    trained = [f"| {name} | {spent:.0f} |" for name, spent in minutes.items()]
    load = state.get("speed", {}).get("load", "not measured")
    card = {
        "TRAINED": "\n".join(["| part | minutes |", "|---|---|", *trained]),
        "SHOWN": verdict.markdown(rows),
        "CACHE": f"{verdict.markdown(ablation)}\n\n{verdict.by_clip(scores, state.get('floor', {}))}",
        "EDITS": table(moving),
        "GRAPHS": f"Two threads, {args.size}; load of the machine before it: {load}.\n\n"
        + "\n".join(["| graph | p50 ms | p95 ms |", "|---|---|---|", *graphs]),
    }
    print("\n\n".join(card.values()))
    met = sum(row.met for row in rows)
    print(f"\n{met} of {len(rows)} rows met, {len(scores)} scores, {len(pictures)} pictures in {args.out}")
    report = {"machine": machine, "clips": clips, "frames": args.frames, "size": args.size, "card": card}
    (args.out / "report.json").write_text(json.dumps(report, indent=1))
    if args.card:
        CARD_PICTURES.mkdir(parents=True, exist_ok=True)
        for path in pictures:
            shutil.copyfile(path, CARD_PICTURES / path.name)
    return rows


async def run(args: argparse.Namespace) -> dict[str, Any]:
    from gpu.nano.distill.clips import STILL
    from gpu.nano.distill.pictures import PHOTOGRAPHS

    start = time.monotonic()
    parts = [part.strip() for part in args.only.split(",") if part.strip()]
    if unknown := sorted(set(parts) - set(PARTS)):
        raise SystemExit(f"there is no part {unknown[0]}: choose of {', '.join(PARTS)}")
    if args.quick:
        vars(args).update(QUICK)
    if args.clip is None:
        args.clip = sorted(p for p in (args.data / "held_out").glob("*") if p.is_file())
        args.clip += [p.with_name(p.name + STILL) for p in args.clip if p.suffix in PHOTOGRAPHS][:1]
    if not args.clip:
        raise SystemExit(f"no clips: {args.data}/held_out is empty, give --clip")
    machine = describe()
    state = await asyncio.to_thread(trials, args, parts)
    rows = write(args, state, machine)
    result = {
        "bench": "nano_report",
        "machine": machine,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "rows": [_fields(row) for row in rows],
    }
    print(json_line(result))
    return result
