"""Units, equal neighbours collapsed: edits between them, and how long they last."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import Clip, UserError
from bench.cli import main
from bench.registry import load_suite
from bench.tokens.options import parse
from bench.tokens.scored import Encoded
from bench.tokens.units import collapsed, run_lengths, unit_edits, unit_scores


def test_equal_neighbours_are_one_unit_and_edits_are_counted_by_hand() -> None:
    assert collapsed([1, 1, 2, 2, 2, 1]) == [1, 2, 1]
    own = torch.tensor([[1, 1, 2, 3, 3, 4], [5, 5, 5, 5, 5, 5]])
    longer = torch.tensor([[1, 2, 2, 2, 3, 4], [5, 5, 5, 5, 5, 5]])  # as units the same
    other = torch.tensor([[1, 9, 9, 3, 4, 4], [5, 6, 6, 7, 7, 7]])  # one substitution of four; two insertions for one
    assert unit_edits(own, own) == unit_edits(own, longer) == 0
    assert unit_edits(own, other) == pytest.approx((1 / 4 + 2 / 1) / 2)
    assert unit_edits(own[:1], own[:1, :3]) == pytest.approx(2 / 4)


def encoded(*codes: list[int]) -> Encoded:
    return Encoded(Clip("a", Path(), ""), [np.array(own) for own in codes], 1.0, None)


def test_units_last_as_long_as_their_runs() -> None:
    assert run_lengths(np.array([1, 1, 2, 2, 2, 1])).tolist() == [2, 3, 1] and len(run_lengths(np.zeros(0))) == 0
    clips = [encoded([1, 1, 2, 2, 2, 1], [3] * 12), encoded([1, 1], [4] * 4)]  # at 50 and 100 a second: runs never cross clips
    found = unit_scores(clips, [50.0, 100.0])
    assert [score.value for score in found["unit_ms"].codebooks] == [40.0, 80.0]
    assert [score.value for score in found["units_per_s"].codebooks] == [25.0, 12.5]
    assert [found[name].codebooks[0].value for name in ("unit_ms_median", "unit_ms_longest")] == [40.0, 60.0]
    assert found["unit_ms"].whole.value == 60.0
    assert "vary in length" in unit_scores(clips, [math.nan, 50.0])["unit_ms"].whole.note
    assert str(parse("units")) == "units" and str(parse("")) == ""
    with pytest.raises(UserError, match="'runs' is none of units"):
        parse("runs")


def test_units_are_columns_on_request_alone(make_data: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--suite", "codes", "--tokenizer", "mimi@tiny", "--data", str(make_data(2)), "--results", str(tmp_path), "-q"]
    words += ["--workers", "1", "--format", "csv"]
    assert main([*words, "--codes-options", "units"]) == 0
    assert "unit_ms_p90" in capsys.readouterr().out and "unit_ms_p90" not in {metric.name for metric in load_suite("codes").metrics}
    assert main([*words[:2], "mcd", *words[3:], "--codes-options", "units"]) == 2
    assert "belongs to --suite codes" in capsys.readouterr().err
