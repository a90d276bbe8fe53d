"""What the page of the leaderboards is made of: model cards, and suites by their evaluators."""

from pathlib import Path

import pytest

from bench import registry
from bench.api import UserError
from bench.evaluators import quality
from bench.leaderboard import model_cards
from bench.leaderboard.entries import suite_of
from bench.records import reader
from bench.report.comparability import evaluators
from bench.weights import download

RESULTS = Path(__file__).resolve().parents[3] / "results"


def test_every_shipped_weight_has_a_card_and_a_card_holds_no_tags_of_its_own(tmp_path: Path) -> None:
    shipped = [name for name in registry.names() if name.endswith("@mini") and card_file(name)]
    assert len(shipped) > 3 and all(model_cards.card_of(name) for name in shipped)
    assert model_cards.card_of("mulaw@8bit") is None and model_cards.card_of("no@body") is None
    card = tmp_path / "card.md"
    table = "| a | b |\n|---|---|\n| 1 | <img src=x onerror=harm()> |\n"
    card.write_text("# A <b>card</b>\n\n<script>harm()</script>\n\n[here](javascript:harm())\n\n" + table)
    text = model_cards.rendered(card)
    assert text.startswith("<h4>A &lt;b&gt;card") and '<table tabindex="0">' in text
    assert "<script" not in text and "<img" not in text and 'href="javascript' not in text


def card_file(name: str) -> bool:
    return any(download.shipped(file.file).is_file() for file in registry.variant(name).files)


def test_the_word_behind_a_suite_is_its_evaluator_or_where_it_has_none_what_it_is_asked_for() -> None:
    assert suite_of("asr", "pocketsphinx").judge.startswith("pocketsphinx")
    assert suite_of("probe", "mel").asked == "mel"
    with pytest.raises(UserError, match="give --run reconstruction"):
        suite_of("reconstruction", "mel")


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        ("open/quality", [one.name for one in quality.panel("default").everyone]),
        ("boards/asr", ["pocketsphinx_closed"]),
        ("boards/reconstruction", []),
    ],
)
def test_a_run_names_every_evaluator_that_it_asked_and_no_digest(stored: str, names: list[str]) -> None:
    folder = next((RESULTS / stored).glob("identity@float32-*"))
    assert evaluators(reader.read(folder)) == names
