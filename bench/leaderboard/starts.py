"""Three ways into the table, each a filter, an order and two axes, with the reason in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.leaderboard.columns import Column, matching

USUAL = "Every tokenizer, by measured bitrate. Or begin with what you need it for."


@dataclass(frozen=True)
class Start:
    """`most` is the largest value of the column that it filters and sorts by; of the patterns of x and y the first that fits counts."""

    id: str
    title: str
    reason: str
    column: str
    most: float
    x: tuple[str, ...]
    y: tuple[str, ...]


STARTS = (
    Start(
        "llm",
        "Speech LLM",
        "For a speech LLM: a language model pays for every token, so at most 150 tokens/s, fewest first, against the words lost (WER).",
        "tokens_per_s",
        150,
        ("tokens_per_s",),
        ("wer_*", "probe_word_acc"),
    ),
    Start(
        "bitrate",
        "Lowest bitrate",
        "For storage and thin links: they pay for bits, so at most 2 kbit/s of packed codes, fewest first, against the words lost (WER).",
        "kbps_packed",
        2,
        ("kbps_packed",),
        ("wer_*", "pesq_wb"),
    ),
    Start(
        "streaming",
        "Streaming",
        "For live use: a listener waits for the look-ahead, so at most 100 ms of future audio, shortest first, against the words lost.",
        "lookahead_ms",
        100,
        ("kbps_packed",),
        ("wer_*", "pesq_wb"),
    ),
)
LIMITS = {"tokens_per_s": "tokens", "kbps_packed": "kbps", "lookahead_ms": "lookahead"}  # column -> its key in the address


def usable(columns: Sequence[Column]) -> list[Start]:
    """Those whose columns are there."""
    return [start for start in STARTS if all(matching(patterns, columns) for patterns in ((start.column,), start.x, start.y))]


def choices(start: Start, columns: Sequence[Column]) -> dict[str, str]:
    """What the page's controls are set to."""
    sort, x, y = (matching(patterns, columns) for patterns in ((start.column,), start.x, start.y))
    assert sort and x and y
    return {LIMITS[start.column]: f"{start.most:g}", "sort": sort.id, "x": x.id, "y": y.id}
