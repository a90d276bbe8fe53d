"""How every picture looks: lines distinguished by marker and dash, names in a column beside the axes, two files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

MARKERS = "osD^vP*X<>hpd"
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
INK, GREY = "black", "0.5"
SIZE = 8  # pt of a name
STEP = SIZE * 1.25  # pt from a name to the next
WIDTH, HEIGHT, LEFT, BESIDE = 3.9, 3.5, 0.85, 2.25  # inches of the axes, of what is left of them, of the room for names at the least
ABOVE, BELOW = 0.45, 0.8  # inches; below there is room for two lines of a footnote


@dataclass(frozen=True)
class Line:
    """Points that belong together. `quiet`: an anchor, grey and hollow. `low` and `high` bound each y; empty: no bounds."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: int  # its marker and dash: the same number, the same look
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    quiet: bool = False


@dataclass(frozen=True)
class End:
    """Where a line ends, or the height of a level, whose x is None."""

    name: str
    x: float | None
    y: float
    quiet: bool


@dataclass(frozen=True)
class Level:
    """A height that is reached at an x beyond the picture."""

    name: str
    y: float


def sheet(panels: int, same_scale: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, each with room for names to its right."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("bench plot needs matplotlib: pip install 'audio-tokenizer-bench[plot]'") from None
    matplotlib.rc("font", size=9)
    matplotlib.rc("axes.spines", top=False, right=False)
    matplotlib.rc("svg", hashsalt="bench", fonttype="none")  # the same runs, the same file; names stay text
    figure = Figure()
    axes = list(figure.subplots(1, panels, squeeze=False, sharey=same_scale)[0])
    _lay_out(figure, axes, HEIGHT, BESIDE)
    return figure, axes


def _lay_out(figure: Figure, panels: Sequence[Axes], height: float, beside: float) -> None:
    """Axes of that height in inches, and that much room at their right sides: the figure grows, not the axes' width."""
    wide, high = len(panels) * (LEFT + WIDTH + beside), BELOW + height + ABOVE
    figure.set_size_inches(wide, high)
    figure.subplots_adjust(
        left=LEFT / wide, right=1 - beside / wide, wspace=(LEFT + beside) / WIDTH, bottom=BELOW / high, top=1 - ABOVE / high
    )


def draw(panels: Sequence[Axes], content: Sequence[tuple[Sequence[Line], Sequence[Level]]]) -> None:
    """Lines with markers and levels across, a panel each; then a name for every one, beside the axes. Scales must be set before.

    The figure grows with the number of the names and with the longest."""
    ends = [_draw(axes, lines, levels) for axes, (lines, levels) in zip(panels, content, strict=True)]
    figure = panels[0].get_figure(root=True)
    assert figure is not None
    height = max(HEIGHT, STEP / 72 * max(map(len, ends)))
    _lay_out(figure, panels, height, BESIDE)
    # panels may share a scale: all must be drawn before a height is known
    names = [text for axes, found in zip(panels, ends, strict=True) for text in _name(axes, found, STEP / 72 / height)]
    longest = max(text.get_window_extent().width for text in names) / figure.dpi
    _lay_out(figure, panels, height, max(BESIDE, 0.06 * WIDTH + longest + 0.15))


def footnote(figure: Figure, lines: Sequence[str]) -> None:
    """Small print at the lower edge, once everything else is drawn."""
    width = figure.get_size_inches()[0]
    text = "\n".join(part for line in lines for part in textwrap.wrap(line, int(width * 17)))
    figure.text(0.1 / width, 0.01, text, fontsize=6.5, color="0.35", va="bottom")


def _draw(axes: Axes, lines: Sequence[Line], levels: Sequence[Level]) -> list[End]:
    ends: list[End] = []
    for line in lines:
        ink = GREY if line.quiet else INK
        (curve,) = axes.plot(line.x, line.y, color=ink, linewidth=1.0 if line.quiet else 1.4)
        curve.set_linestyle(DASHES[line.style % len(DASHES)])
        curve.set_marker(MARKERS[line.style % len(MARKERS)])
        curve.set_markersize(5.5)
        curve.set_markerfacecolor("white" if line.quiet else ink)
        if line.low:
            axes.vlines(line.x, line.low, line.high, color=ink, linewidth=0.6)
        ends.append(End(line.name, line.x[-1], line.y[-1], line.quiet))
    for level in levels:
        axes.axhline(level.y, color=GREY, linewidth=0.8, linestyle=(0, (1, 3)))
        ends.append(End(level.name, None, level.y, True))
    axes.margins(x=0.08, y=0.06)
    axes.grid(visible=True, which="major", linewidth=0.3, color="0.85")
    axes.tick_params(which="major", length=3.5, pad=3.5)
    axes.tick_params(which="minor", length=2, pad=5)  # so that both sorts of numbers stand on one line
    return ends


def _name(axes: Axes, ends: Sequence[End], gap: float) -> list[Text]:
    """Names in a column, as near to their heights as their neighbours let them: `gap` apart, a share of the axes' height."""
    axes.autoscale_view()
    names: list[Text] = []
    ends = sorted(ends, key=lambda end: end.y)
    at = [_place(axes, end) for end in ends]
    for end, point, height in zip(ends, at, spread([y for _, y in at], gap, 1.0), strict=True):
        ink = "0.35" if end.quiet else INK
        names.append(axes.text(1.06, height, end.name, transform=axes.transAxes, fontsize=SIZE, va="center", color=ink))
        axes.annotate(
            "",
            xy=point,
            xytext=(1.055, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "0.6"},
            annotation_clip=False,
        )
    return names


def _place(axes: Axes, end: End) -> tuple[float, float]:
    """Where a line ends, in fractions of the axes; a level ends at their right side."""
    x, y = axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[1] if end.x is None else end.x, end.y)))
    return float(x), float(y)


def spread(heights: Sequence[float], gap: float, most: float) -> list[float]:
    """Ascending heights moved apart to `gap` at least, those that touch centred on their mean, then down until none is above `most`."""
    blocks: list[tuple[float, int]] = []  # the middle of a block and how many it has
    for height in heights:
        middle, count = height, 1
        while blocks and middle - (count - 1) * gap / 2 < blocks[-1][0] + (blocks[-1][1] - 1) * gap / 2 + gap:
            before, many = blocks.pop()
            middle, count = (before * many + middle * count) / (many + count), many + count
        blocks.append((middle, count))
    places = [middle + (i - (count - 1) / 2) * gap for middle, count in blocks for i in range(count)]
    for i in reversed(range(len(places))):
        places[i] = min(places[i], most - (len(places) - 1 - i) * gap)
    return places


def save(figure: Figure, out: Path) -> list[Path]:
    """Writes out.png and out.svg."""
    stem = out.with_suffix("") if out.suffix in (".png", ".svg") else out
    paths = [stem.with_name(stem.name + suffix) for suffix in (".png", ".svg")]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(paths[0], dpi=160)
        figure.savefig(paths[1], metadata={"Date": None})
    except OSError as error:
        raise UserError(f"{error.filename or out}: {error.strerror or error}: give another place with --out") from error
    return paths
