"""The frame of every page: head, navigation, and the styles and scripts that lie beside it in assets/.

Pages open from the file system and need no network; their policy lets no script run that is not one of those files. Jinja2 escapes
whatever a template is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.records.writer import folder_name

TEMPLATES = Path(__file__).parent / "templates"
ASSETS, TOKENIZERS, SUITES = FOLDERS = ("assets", "tokenizers", "suites")  # beside index.html; everything in them is written by `bench`
STYLE, FIRST = "page.css", "theme.js"  # the script runs before anything is shown
Links = Sequence[tuple[str, str]]  # of the navigation: paths below the folder of index.html, and words
INDEX, COMPARE, LISTENING = "index.html", "compare.html", "listening.html"


@cache
def environment() -> Environment:
    """Jinja2 for the templates of this room."""
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def render(
    template: str, *, title: str, path: str, links: Links, scripts: Sequence[str] = (), data: Sequence[str] = (), **facts: object
) -> str:
    """A whole page. `path`: where it will lie below the folder of index.html; `links`: (path there, words) of the navigation; `scripts`:
    names of templates; `data`: addresses that `stamped` gave of scripts with figures, which come first."""
    up = "../" * path.count("/")
    frame = {
        "title": title,
        "up": up,
        "links": [(up + address(link), words, link == path) for link, words in links],
        "style": up + _named(STYLE),
        "scripts": [up + address for address in (_named(FIRST), *data, *map(_named, scripts))],
    }
    return environment().get_template(template).render(frame | facts)


def assets() -> dict[str, str]:
    """Path below the folder of index.html -> content, of every style and script."""
    return {f"{ASSETS}/{path.name}": _text(path.name) for path in sorted(TEMPLATES.iterdir()) if path.suffix in (".css", ".js")}


def _named(name: str) -> str:
    return stamped(name, _text(name))


def stamped(name: str, text: str) -> str:
    """The address of a file of assets; the digits make a browser that kept an older one ask again."""
    return f"{ASSETS}/{name}?{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def address(path: str) -> str:
    """A path as part of an address."""
    return quote(path)


def tokenizer_path(label: str) -> str:
    """Where the page of a tokenizer lies below the folder of index.html."""
    return f"{TOKENIZERS}/{folder_name(label)}.html"


def suite_path(suite: str) -> str:
    """Where the page of a suite lies."""
    return f"{SUITES}/{folder_name(suite)}.html"


@cache
def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
