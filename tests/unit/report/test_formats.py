"""Cells: a share is per cent in every table."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TextIO

import pytest

from bench.api import Metric
from bench.report.formats import Grid, cell, change, title, to_markdown
from bench.report.latex import to_latex
from bench.statistics.bootstrap import Estimate, Summary

WER = Metric("wer", "share", "lower", {}, 0.005, None)
ACCURACY = replace(WER, name="acc", better="higher", tolerance=0.01)


def test_a_share_is_shown_in_per_cent_with_the_decimals_of_its_tolerance() -> None:
    assert cell(Summary("speech", "wer", 0.12345, 0.1, 0.15, 9, 1), WER) == "12.3 [10.0, 15.0] -1"
    assert cell(Summary("speech", "acc", 0.5, math.nan, math.nan, 9, 0), ACCURACY) == "50"
    assert cell(Summary("speech", "wer", 11.0, math.nan, math.nan, 9, 0), WER) == "1100"  # an ASR model that says far too much
    assert change(Estimate(-0.02, -0.04, -0.0001, 0.1), WER) == "-2.0 [-4.0, +0.0]"


def test_the_header_of_a_share_says_per_cent_even_where_other_units_have_no_room() -> None:
    assert (title(WER), title(WER, WER.unit)) == ("wer (%) ↓", "wer (%) ↓")
    level = replace(WER, unit="dB")
    assert (title(level), title(level, level.unit)) == ("wer ↓", "wer (dB) ↓")


@pytest.mark.parametrize(("write", "header"), [(to_markdown, "| wer (%) ↓ |"), (to_latex, "wer (\\%) $\\downarrow$")])
def test_per_cent_is_written_as_the_format_needs_it(write: Callable[[Sequence[Grid], Sequence[str], TextIO], None], header: str) -> None:
    out = io.StringIO()
    write([("speech", ["tokenizer", title(WER)], [["a@b", "12.3"]])], [], out)
    assert header in out.getvalue()
