"""The model cards of the bundled weights, tokenizers/weights/*.md, as HTML that holds no HTML of theirs."""

from __future__ import annotations

from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from bench import registry
from bench.api import UserError, Variant
from bench.weights import download

BELOW = 3  # a card's title becomes a heading of the fourth level, below that of its tokenizer


def card_of(label: str) -> Path | None:
    """The card beside the weights of a tokenizer; None: it has none, or nobody here knows it."""
    try:
        variant: Variant = registry.variant(label)
    except UserError:  # a file of somebody's own
        return None
    cards = (download.shipped(file.file).with_suffix(".md") for file in variant.files if not file.url)
    return next((path for path in cards if path.is_file()), None)


def rendered(path: Path) -> Markup:
    """A card. Tags in it are text; its headings are of lower levels, and its links lead to nothing but the web."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(path.read_text(encoding="utf-8"))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + BELOW)}"
        if token.type == "table_open":  # a wide one scrolls by itself, and by the keys
            token.attrs = {"tabindex": "0"}
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704, the parser escapes what it is given
