"""Pictures of a report, as SVG. Draws what it is given; computes nothing but order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

COLOURS = {"echo": "#8a8f98", "passthrough": "#2a7de1", "nano": "#d9480f"}


def distribution(path: Path, title: str, unit: str, samples: Mapping[str, Sequence[float]]) -> None:
    """One curve a case: the share of frames that took at most so long."""
    figure, axes = _axes(title, unit, "share of frames")
    for name, values in samples.items():
        ordered = sorted(values)
        shares = [(i + 1) / len(ordered) for i in range(len(ordered))]
        axes.plot(ordered, shares, label=name, color=COLOURS.get(name), linewidth=2)
    axes.set_ylim(0, 1)
    axes.legend(frameon=False)
    _save(figure, path)


def lines(
    path: Path, title: str, axes_names: tuple[str, str], series: Mapping[str, Sequence[tuple[float, float]]]
) -> None:
    """One line of (x, y) points a case."""
    figure, axes = _axes(title, *axes_names)
    for name, points in series.items():
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            label=name,
            color=COLOURS.get(name),
            linewidth=2,
            marker="o" if len(points) < 40 else None,
        )
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _save(figure, path)


def _axes(title: str, across: str, up: str):  # type: ignore[no-untyped-def]  # matplotlib has no stubs here
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _save(figure, path: Path) -> None:  # type: ignore[no-untyped-def]
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
