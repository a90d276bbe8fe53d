"""The pictures: which points make a line, what an anchor is, names that do not cover each other, files, and lines for what is wrong."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import main
from bench.compare.ladders import families
from bench.plot import paper, quality, speed
from bench.records.choose import choose
from bench.records.reader import Kept
from bench.throughput import table
from bench.throughput.measure import Measured
from bench.throughput.sweep import Point
from tests.runs import keep, speech

plt = pytest.importorskip("matplotlib")
WEIGHTS = "sha256:" + "a" * 64
SPEEDS = {"device": "cpu", "processor": "Abacus 3000", "threads": 1, "torch": "2.13.0"}


def rated(rate: float, scores: list[float]) -> dict:
    return speech({"quality": scores, "kbps_packed": [rate] * len(scores)}, speakers=6)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A family of three, a classical one of two, one that spends far more bits, and one lone codec."""
    place = tmp_path / "results"
    for i, name in enumerate(("low", "mid", "high")):
        keep(place, f"net@{name}", rated(2.0**i, [1 + i + 0.1 * clip for clip in range(12)]), suite="toy", weights=WEIGHTS)
    for i, name in enumerate(("6", "12")):
        keep(place, f"old@{name}", rated(6.0 * (i + 1), [2.0 + i] * 12), suite="toy")
    keep(place, "raw@pcm", rated(768.0, [4.5] * 12), suite="toy")
    keep(place, "lone@v", rated(3.0, [2.5] * 12), suite="toy", weights="sha256:" + "b" * 64)
    return place


def runs(results: Path, *names: str) -> list[Kept]:
    return choose(names or ["net@*", "old@*", "raw", "lone"], results, "toy").runs


def test_a_family_is_a_line_in_the_order_of_its_rates_and_anchors_are_quiet(results: Path) -> None:
    found = runs(results)
    lines, levels = quality.arranged(found, found[0].metrics["quality"], "speech")
    assert [(line.name, line.quiet) for line in lines] == [("net@*", False), ("lone@v", False), ("old@*", True)]
    assert lines[0].x == [1.0, 2.0, 4.0] and lines[0].y == pytest.approx([1.55, 2.55, 3.55])
    assert all(low < y < high for low, y, high in zip(lines[0].low, lines[0].y, lines[0].high, strict=True))
    assert lines[2].x == [6.0, 12.0]  # within four times 4 kbit/s
    assert [(level.name, level.y) for level in levels] == [("raw@pcm, 768 kbit/s", 4.5)]
    assert len({line.style for line in lines}) == 3


def test_a_share_is_drawn_in_per_cent(results: Path) -> None:
    found = runs(results)
    lines, _ = quality.arranged(found, replace(found[0].metrics["quality"], unit="share"), "speech")
    assert lines[0].y == pytest.approx([155, 255, 355]) and lines[0].low[0] > 100 and lines[0].x == [1.0, 2.0, 4.0]


def test_a_family_stays_whole_though_its_largest_rate_is_far(results: Path) -> None:
    keep(results, "old@96", rated(96.0, [4.0] * 12), suite="toy")
    found = runs(results)
    lines, levels = quality.arranged(found, found[0].metrics["quality"], "speech")
    assert lines[-1].x == [6.0, 12.0, 96.0] and len(levels) == 1


def test_points_are_of_the_clips_that_all_have(results: Path) -> None:
    keep(results, "poor@v", rated(3.0, [float("nan")] + [2.0] * 11), suite="toy", weights="sha256:" + "c" * 64)
    found = runs(results, "net@*", "poor")
    lines, _ = quality.arranged(found, found[0].metrics["quality"], "speech")
    assert lines[0].y[0] == pytest.approx(1 + 0.1 * 6)  # clips 1 to 11


def test_families_are_kept_though_a_ladder_needs_three(results: Path) -> None:
    assert [len(family.runs) for family in families(runs(results))] == [3, 2, 1, 1]


def test_no_name_covers_another_or_leaves_the_picture(results: Path) -> None:
    for name in ("a", "b", "c", "d"):
        keep(results, f"raw@{name}", rated(700.0, [4.5] * 12), suite="toy")
    found = runs(results, "*")
    figure = quality.figure(found, [found[0].metrics["quality"]], "speech")
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) == 3 + 5
    for one, other in pairwise(sorted(boxes, key=lambda box: box.y0)):
        assert one.y1 <= other.y0 + 1  # pixels
    assert all(figure.bbox.x0 < box.x0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1 for box in boxes)


def test_the_figure_grows_with_the_longest_name_and_with_how_many_there_are(results: Path) -> None:
    for i in range(40):
        timed(results, f"net{i}@a-name-that-takes-more-than-its-share-of-the-picture", {1: 20.0 + i, 8: 30.0})
    figure = speed.figure(choose(["*"], results, "throughput").runs)
    figure.draw_without_rendering()
    encode, decode = figure.axes
    left = [text.get_window_extent() for text in encode.texts if text.get_text()]
    right = [text.get_window_extent() for text in decode.texts if text.get_text()]
    label = decode.yaxis.label.get_window_extent()
    assert len(left) == len(right) == 40
    assert all(box.x1 < label.x0 for box in left)  # not into the next panel
    assert all(box.x1 < figure.bbox.x1 for box in right)
    assert all(figure.bbox.y0 < box.y0 and box.y1 < figure.bbox.y1 for box in left + right)
    for one, other in pairwise(sorted(right, key=lambda box: box.y0)):
        assert one.y1 <= other.y0 + 1


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.2))
def test_names_are_spread_as_far_as_needed_and_no_further(heights: list[float], gap: float) -> None:
    heights = sorted(heights)
    places = paper.spread(heights, gap, 1.0)
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(places))
    assert not places or places[-1] <= 1.0
    if all(b - a >= gap for a, b in pairwise(heights)):
        assert places == pytest.approx(heights)


def timed(results: Path, label: str, speeds: dict[int, float], sides: tuple[str, ...] = ("encode", "decode"), **machine: object) -> Path:
    facts = {"suite": "throughput", "sweep": "batch=1,8 seconds=1,10 dtype=float32 mode=eager", "machine": SPEEDS | machine}
    folder = keep(results, label, speech({"quality": [1.0]}), **facts)
    for batch, rtfx in speeds.items():
        for length in (1.0, 10.0):  # only the longer one is drawn
            point = Point(batch, length)
            seconds = point.audio / rtfx / (1 if length > 1 else 2)
            table.add(folder, [Measured(point, side, 5, seconds / 1.1, seconds, seconds * 1.1) for side in sides])
    return folder


def test_speed_is_drawn_by_batch_for_the_usual_length(results: Path) -> None:
    timed(results, "net@low", {8: 50.0, 1: 20.0})
    timed(results, "units@v", {1: 5.0}, ("encode",))
    found = choose(["net@low", "units"], results, "throughput").runs
    (first, second), (decoded,) = (speed.arranged(found, side) for side in ("encode", "decode"))
    assert first.x == [1, 8] and first.y == pytest.approx([20.0, 50.0])
    assert first.low[0] == pytest.approx(20 / 1.1) and first.high[0] == pytest.approx(22)
    assert (second.name, decoded.name) == ("units@v", "net@low") and first.style == decoded.style
    figure = speed.figure(found)
    assert "Abacus 3000" in figure.get_suptitle() and len(figure.axes) == 2
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_speeds_of_two_machines_are_named_at_their_lines(results: Path) -> None:
    timed(results, "net@low", {1: 20.0})
    timed(results, "net@high", {1: 30.0}, processor="Difference Engine")
    lines = speed.arranged(choose(["net@*"], results, "throughput").runs, "encode")
    assert [("Abacus" in line.name, "Difference" in line.name) for line in sorted(lines, key=lambda line: line.y[0])] == [
        (True, False),
        (False, True),
    ]


def test_both_files_are_written_and_the_same_runs_give_the_same_svg(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plot", "quality", "net@*", "raw", "--results", str(results), "--suite", "toy", "--metric", "quality"]
    assert main([*words, "--out", str(tmp_path / "new" / "a.png")]) == 0 and main([*words, "--out", str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [str(tmp_path / "new" / "a.png"), str(tmp_path / "new" / "a.svg")]
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    drawn = (tmp_path / "b.svg").read_bytes()
    assert drawn == (tmp_path / "new" / "a.svg").read_bytes() and b"raw@pcm, 768 kbit/s" in drawn


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("quality", "net@*", "--metric", "qualty"), "did you mean 'quality'"),
        (("quality", "net@*", "--metric", ","), "--metric names no metric"),
        (("quality", "net@*", "--metric", "quality", "--domain", "music"), "has no quality of music"),
        (("quality", "nobody", "--metric", "quality"), "no run of nobody"),
        (("speed", "net@*"), "does not time"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(results: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str) -> None:
    assert main(["plot", *words, "--suite", "toy", "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1


def test_without_matplotlib_the_cure_is_told(results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["plot", "quality", "net@*", "--suite", "toy", "--metric", "quality", "--results", str(results)]) == 2
    assert "pip install 'audio-tokenizer-bench[plot]'" in capsys.readouterr().err
