"""What `gpu-media` found, as a Markdown table, a block for bench/LOG.md and a picture. Computes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.gpu_world import Found

_BAR, _LEFT, _WIDTH = 22, 330, 760


def title(name: str, fake: bool, dry: bool) -> str:
    """The heading; what is no measurement says so in it."""
    kind = "fake driver, figures mean nothing: " if fake else "dry run, figures mean nothing: " if dry else ""
    return f"{kind}the GPU media path on {name}"


def markdown(heading: str, found: dict[str, Found]) -> str:
    """All rows under a heading."""
    rows = [row for part in found.values() for row in part.rows]
    lines = [f"| {what} | {said.replace('|', '/')} |" for what, said in rows]
    return "\n".join([f"| {heading} | |", "|---|---|", *lines])


def log_block(heading: str, machine: dict[str, Any], found: dict[str, Found], command: str) -> str:
    """An entry for bench/LOG.md."""
    wrong = [text for part in found.values() for text in part.wrong]
    said = (
        "\n".join(f"- **Not as it must be:** {text}" for text in wrong)
        or "Nothing was other than it must be."
    )
    cpu = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load1']}"
    where = f"`{command}` at {machine['commit']}: {machine['gpu']}, {machine['driver']}, {cpu}."
    return "\n\n".join([f"## {machine['at'][:10]}, {heading}", where, markdown(heading, found), said]) + "\n"


def picture(path: Path, heading: str, found: dict[str, Found]) -> None:
    """Median times as bars with a tick at the 95th percentile, an SVG."""
    bars = [
        (name, value["ms"]["p50"], value["ms"]["p95"])
        for part in found.values()
        for name, value in part.data.items()
        if isinstance(value, dict) and isinstance(value.get("ms"), dict)
    ]
    most = max((p95 for _, _, p95 in bars), default=1.0) or 1.0
    height = _BAR * (len(bars) + 2)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH}" height="{height}"',
        ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="8" y="16" font-size="14">{escape(heading)}: ms, p50 and p95</text>',
    ]
    for n, (name, p50, p95) in enumerate(bars):
        y, scale = _BAR * (n + 1) + 8, (_WIDTH - 120) / most
        out.append(f'<text x="8" y="{y + 12}">{escape(name[:52])}</text>')
        out.append(f'<rect x="{_LEFT}" y="{y}" width="{p50 * scale:.1f}" height="15" fill="#2a7de1"/>')
        out.append(f'<rect x="{_LEFT + p95 * scale:.1f}" y="{y}" width="2" height="15" fill="#d9480f"/>')
        out.append(f'<text x="{_LEFT + p95 * scale + 8:.1f}" y="{y + 12}">{p50:.2f} / {p95:.2f}</text>')
    path.write_text("\n".join([*out, "</svg>", ""]), encoding="utf-8")
