"""`python -m bench latency`: glass to glass and what the server adds, against a plain aiortc echo, in turns.

glass to glass   the client's camera handed the frame out -> the client's receiver handed its picture out
server adds      last RTP packet of a frame into the server -> last RTP packet of that frame out of it,
                 seen by a relay before the server, matched by RTP timestamp
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.client import ClientConfig
from bench.figures import Progress, json_line, percentile, spread, table
from bench.machine import describe
from bench.plot import distribution
from bench.processes import OUT, serving
from bench.stream import StreamFigures, measure

ECHO = "echo"
STAGES = ("decode", "edit", "encode")
TARGET = {"p50": 60.0, "p95": 120.0}  # ms the server may add with nano at 640x480
_VERDICT = {True: "met", False: "MISSED", None: "not measured"}
TARGET_RATIO = 1.25  # of what the echo adds, for everything but the model


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cases", default="echo,passthrough,nano", help="comma separated; echo is the yardstick"
    )
    parser.add_argument("--rounds", type=int, default=3, help="each round measures every case once, in turns")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured per case and round")
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--client", default="aiortc", choices=("aiortc", "chromium"))
    parser.add_argument("--clip", default="", help="a video file; drawn where not given")
    parser.add_argument(
        "--prompt", default="make it night", help="the edit in force while models are measured"
    )


def client_config(args: argparse.Namespace) -> ClientConfig:
    width, _, height = args.size.partition("x")
    return ClientConfig(int(width), int(height), args.fps, args.clip, args.client, args.seconds + 60)


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    cases = [case for case in args.cases.split(",") if case]
    config = client_config(args)
    seen: dict[str, list[StreamFigures]] = {case: [] for case in cases}
    progress, done = Progress(args.rounds * len(cases), "latency"), 0
    for turn in range(args.rounds):
        for case in cases[turn % len(cases) :] + cases[: turn % len(cases)]:
            async with serving(case) as server:
                prompt = "" if case == ECHO else args.prompt
                seen[case].append(await measure(server.url, config, args.seconds, prompt=prompt))
            done += 1
            p50 = percentile(seen[case][-1].server_ms, 0.5)
            progress.show(done, f"{case}: server adds {p50:.1f} ms p50")
    return report(args, machine, seen)


def report(
    args: argparse.Namespace, machine: dict[str, Any], seen: dict[str, list[StreamFigures]]
) -> dict[str, Any]:
    results = {case: summary(rounds) for case, rounds in seen.items()}
    echo = results.get(ECHO)
    rows = []
    for case, r in results.items():
        ratio = None
        if echo and case != ECHO and echo["serverMs"]["n"]:
            # the echo's median is what aiortc's own jitter buffer, codecs and event loop cost
            ratio = (r["serverMs"]["p50"] - r["stagesMs"].get("edit", 0.0)) / echo["serverMs"]["p50"]
            r["withoutModelToEcho"] = round(ratio, 3)
        g, s = r["glassMs"], r["serverMs"]
        rows.append(
            [
                case,
                g["p50"],
                g["p95"],
                g["p99"],
                s["p50"],
                s["p95"],
                s["p99"],
                *(r["stagesMs"].get(stage) for stage in STAGES),
                f"{r['fpsShown']:.1f}/{r['fpsSent']:.1f}",
                r["freezeMs"],
                None if ratio is None else f"{ratio:.2f}",
            ]
        )
    head = ["case", "glass p50", "p95", "p99", "server p50", "p95", "p99", *STAGES, "fps", "freeze", "x echo"]
    print(table(head, rows))
    for case, r in results.items():
        if case != ECHO:
            s = r["serverMs"]
            r["meets"] = {
                "serverMs": s["p50"] <= TARGET["p50"] and s["p95"] <= TARGET["p95"],
                "fps": r["fpsShown"] >= 0.98 * min(args.fps, r["fpsSent"]),
                "echo": r["withoutModelToEcho"] <= TARGET_RATIO if "withoutModelToEcho" in r else None,
                "timestamps": r["timestampOffset"] == 0,
            }
            print(f"{case}: " + ", ".join(f"{k} {_VERDICT[v]}" for k, v in r["meets"].items()))
    for key, title in (("server_ms", "What the server adds"), ("glass_ms", "Glass to glass")):
        samples = {case: [x for r in rounds for x in getattr(r, key)] for case, rounds in seen.items()}
        distribution(OUT / f"latency-{key}.svg", f"{title}, {args.size} at {args.fps:g} fps", "ms", samples)
    result = {"bench": "latency", "machine": machine, "size": args.size, "fps": args.fps, "cases": results}
    print(json_line(result))
    return result


def summary(rounds: list[StreamFigures]) -> dict[str, Any]:
    """All rounds' frames together, and each round's median so that drift between them shows."""
    stages = {k for r in rounds for k in r.stages}

    def mean_of(name: str) -> float:
        return float(sum(getattr(r, name) for r in rounds) / len(rounds))

    return {
        "glassMs": spread([x for r in rounds for x in r.glass_ms]),
        "serverMs": spread([x for r in rounds for x in r.server_ms]),
        "serverP50ByRound": [round(percentile(r.server_ms, 0.5), 2) for r in rounds],
        "stagesMs": {
            k: round(percentile([x for r in rounds for x in r.stages.get(k, [])], 0.5), 2)
            for k in sorted(stages)
        },
        "fpsSent": round(mean_of("fps_sent"), 2),
        "fpsShown": round(mean_of("fps_shown"), 2),
        "fpsWorstSecond": min(r.fps_worst_second for r in rounds),
        "freezeMs": round(max(r.freeze_ms for r in rounds), 1),
        "outFreezeMs": round(max(r.out_freeze_ms for r in rounds), 1),
        "freezesOver400": sum(r.freezes_over_400 for r in rounds),
        "bitrateBps": round(mean_of("bitrate_bps")),
        "unread": sum(r.unread for r in rounds),
        "timestampOffset": rounds[-1].timestamp_offset,
    }
