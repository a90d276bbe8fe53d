"""What the page of the leaderboards is made of: model cards, and files of others."""

import hashlib
import re
from pathlib import Path

from bench import registry
from bench.leaderboard import model_cards
from bench.weights import download


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


def test_what_is_shipped_of_others_is_what_its_list_says() -> None:
    """Each file's sha256 stands in vendor/README.md, and a licence beside it."""
    vendor = Path(model_cards.__file__).parent / "vendor"
    stated = re.findall(r"`dist/([^`]+)` \| `([0-9a-f]{64})`", (vendor / "README.md").read_text(encoding="utf-8"))
    assert {name for name, _ in stated} == {path.name for path in (vendor / "uplot").iterdir()} - {"LICENSE"}
    assert all(hashlib.sha256((vendor / "uplot" / name).read_bytes()).hexdigest() == sha256 for name, sha256 in stated)
