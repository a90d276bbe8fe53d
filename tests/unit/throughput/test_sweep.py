"""Which points a sweep looks at, how it is written and read, and the file that a stopped run goes on from."""

import math
from itertools import islice
from pathlib import Path

import pytest

from bench.api import TOKENIZER_FAILED, UserError
from bench.report import sweeps
from bench.throughput import table
from bench.throughput.measure import Measured
from bench.throughput.sweep import FULL, SMALL, Point, parse


def test_what_is_written_is_read_again() -> None:
    for sweep in (SMALL, FULL, parse("batch=4,max seconds=2,0.5 dtype=bfloat16")):
        assert parse(str(sweep)) == sweep
    assert parse("small") == SMALL and parse("full") == FULL


def test_what_is_not_said_is_as_in_the_small_one() -> None:
    sweep = parse("seconds=3")
    assert sweep.seconds == (3.0,)
    assert (sweep.batch, sweep.dtype, sweep.mode) == (SMALL.batch, SMALL.dtype, SMALL.mode)


def test_one_clip_in_float32_is_always_there_for_the_others_to_be_compared_with() -> None:
    sweep = parse("batch=8 dtype=bfloat16 mode=compiled")
    assert Point(1, 10.0) in set(sweep.points())
    assert sweep.dtype == ("float32", "bfloat16") and sweep.mode == ("eager", "compiled")


def test_batches_and_lengths_are_crossed_but_other_ways_have_one_length() -> None:
    points = list(parse("batch=1,2 seconds=1,9,60 dtype=bfloat16 mode=compiled").points())
    assert {(p.batch, p.seconds) for p in points if p.plain} == {(b, s) for b in (1, 2) for s in (1.0, 9.0, 60.0)}
    others = [p for p in points if not p.plain]
    assert len(others) == 2 * 3 and {p.seconds for p in others} == {9.0}
    audio = [p.audio for p in points if p.plain]
    assert audio == sorted(audio)  # what is too much is known from what came before


def test_max_doubles_without_end() -> None:
    assert [p.batch for p in islice(parse("batch=1,6,max").beyond(), 3)] == [12, 24, 48]
    assert not list(SMALL.beyond())


@pytest.mark.parametrize(
    "text", ["fast", "batch=0", "batch=1.5", "seconds=-1", "seconds=nan", "dtype=int8", "mode=quick", "batch=", "until_memory=1"]
)
def test_a_wrong_word_is_told_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="--sweep") as error:
        parse(text)
    assert "\n" not in str(error.value)


ENCODE = Measured(Point(1, 1.0), "encode", 5, 0.1, 0.2, 0.4, 100, host=1e6)
DECODE = Measured(Point(1, 1.0), "decode", 5, 0.3, 0.3, 0.3, 100, host=3e6)
SKIPPED = Measured(Point(1, 1.0, "float32", "graph"), "encode", note='a "CUDA graph", needs a GPU')


def same(a: Measured, b: Measured) -> bool:
    return repr(a) == repr(b)  # NaN is not equal to itself


def test_points_come_back_as_they_were(tmp_path: Path) -> None:
    table.add(tmp_path, [ENCODE, DECODE])
    table.add(tmp_path, [SKIPPED])
    found = table.read(tmp_path)
    assert list(found) == [ENCODE.point, SKIPPED.point]
    assert all(map(same, found[ENCODE.point], [ENCODE, DECODE])) and same(found[SKIPPED.point][0], SKIPPED)
    assert ENCODE.rtfx == 5.0
    assert table.plain(found, "encode") == found[ENCODE.point][:1]


def test_a_point_at_which_the_tokenizer_failed_is_tried_again_and_the_later_line_counts(tmp_path: Path) -> None:
    table.add(tmp_path, [Measured(ENCODE.point, "encode", note=f"{TOKENIZER_FAILED}ConnectionError: server is down"), SKIPPED])
    assert list(table.done(tmp_path)) == [SKIPPED.point]
    table.add(tmp_path, [ENCODE])
    assert list(table.done(tmp_path)) == list(table.read(tmp_path)) and same(table.read(tmp_path)[ENCODE.point][0], ENCODE)


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    table.add(tmp_path, [ENCODE])
    with (tmp_path / table.FILE).open("a") as file:
        file.write("8,1,float32,eager,enc")
    assert list(table.read(tmp_path)) == [ENCODE.point]


def test_a_line_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / table.FILE).write_text("batch,seconds\n1,1\n")
    with pytest.raises(UserError, match="--fresh"):
        table.read(tmp_path)
    table.forget(tmp_path)
    assert table.read(tmp_path) == {}


def test_every_point_has_a_line_and_what_was_skipped_says_why(tmp_path: Path) -> None:
    table.add(tmp_path, [ENCODE, DECODE])
    table.add(tmp_path, [SKIPPED])
    ((_, header, lines),) = sweeps.grid([("toy", tmp_path)])
    first, second = (dict(zip(header, line, strict=True)) for line in lines)
    assert first["encode ↑"] == "5 [2.5, 10]" and first["decode ↑"].startswith("3.333")
    assert first["host MB ↓"] == "3" and "device MB ↓" not in header
    assert second["encode ↑"] == "–" and second[""] == 'a "CUDA graph", needs a GPU'
    assert sweeps.grid([("nothing", tmp_path / "none")]) == []
    assert math.isnan(SKIPPED.rtfx)
