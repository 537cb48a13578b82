"""`python -m bench loss`: the longest freeze on a path that loses packets and delays them unevenly.

The path spoils both directions after a clean start, by a seeded relay: the same fates for every case.
`freeze` is seen at the client, `out freeze` where frames leave the server (the way down left out).
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.figures import Progress, json_line, table
from bench.latency import ECHO, client_config, summary
from bench.machine import describe
from bench.processes import serving
from bench.stream import StreamFigures, measure
from tests.relay import Path

TARGET_MS = 400.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", default="echo,passthrough,nano")
    parser.add_argument("--seeds", default="1,2,3", help="one measurement of each case a seed")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured per case and seed")
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--jitter", type=float, default=40.0, help="ms, drawn evenly from 0 to this")
    parser.add_argument("--delay", type=float, default=0.0, help="ms each way, beside the jitter")
    parser.add_argument("--reorder", type=float, default=0.0, help="share of packets that may overtake")
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--client", default="chromium", choices=("aiortc", "chromium"))
    parser.add_argument("--clip", default="")
    parser.add_argument("--prompt", default="make it night")


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    path = Path(args.loss, args.delay, args.jitter, args.reorder)
    cases = [case for case in args.cases.split(",") if case]
    seeds = [int(s) for s in args.seeds.split(",")]
    seen: dict[str, list[StreamFigures]] = {case: [] for case in cases}
    progress, done = Progress(len(seeds) * len(cases), "loss"), 0
    for seed in seeds:
        for case in cases:
            async with serving(case) as server:
                figures = await measure(
                    server.url,
                    client_config(args),
                    args.seconds,
                    path=path,
                    seed=seed,
                    prompt="" if case == ECHO else args.prompt,
                )
            seen[case].append(figures)
            done += 1
            progress.show(done, f"{case}, seed {seed}: freeze {figures.freeze_ms:.0f} ms")
    results = {case: summary(rounds) for case, rounds in seen.items()}
    for case, r in results.items():
        r["freezeMsBySeed"] = [round(f.freeze_ms, 1) for f in seen[case]]
        r["meets"] = r["freezeMs"] <= TARGET_MS
    rows = [
        [
            case,
            r["freezeMs"],
            r["freezesOver400"],
            r["outFreezeMs"],
            r["glassMs"]["p50"],
            r["glassMs"]["p95"],
            r["serverMs"]["p50"],
            r["serverMs"]["p95"],
            f"{r['fpsShown']:.1f}/{r['fpsSent']:.1f}",
            " ".join(f"{x:.0f}" for x in r["freezeMsBySeed"]),
        ]
        for case, r in results.items()
    ]
    head = [
        "case",
        "freeze ms",
        ">400",
        "out freeze",
        "glass p50",
        "p95",
        "server p50",
        "p95",
        "fps",
        "by seed",
    ]
    print(table(head, rows))
    shape = {"loss": args.loss, "jitterMs": args.jitter, "delayMs": args.delay, "reorder": args.reorder}
    result = {"bench": "loss", "machine": machine, "path": shape, "seeds": seeds, "cases": results}
    print(json_line(result))
    return result
