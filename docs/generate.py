"""What the documentation does not say by hand: tables and help texts made from the code while the pages are built (a hook of MkDocs).

A line `<!-- generated: KIND WORDS -->` is replaced. `<!-- needs: WORDS -->` tells the tests what a shell block needs, and is made visible.
"""

from __future__ import annotations

import contextlib
import csv
import inspect
import io
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.api import Metric, Suite, Variant

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"^<!-- generated: (\w+)(?: (.+?))? -->$", re.M)
NEEDS = re.compile(r"^( *)<!-- needs: (.+?) -->$", re.M)
DIRECTIONS = {"higher": "higher ↑", "lower": "lower ↓", "zero": "nearest to 0", "": "a fact"}
TOLD = {
    "download": "a download",
    "asr": "the extra `asr`",
    "speaker": "the extra `speaker`",
    "plot": "the extra `plot`",
    "kmeans": "the extra `kmeans`",
    "quality": "the extra `quality`",
    "gpu": "a GPU",
    "data": "recordings of your own",
}


def on_page_markdown(markdown: str, **_: object) -> str:
    """MkDocs calls this with every page."""
    markdown = NEEDS.sub(
        lambda found: f"{found[1]}*Needs {' and '.join(TOLD.get(word, word) for word in found[2].split(', '))}:*\n", markdown
    )
    return MARK.sub(lambda found: KINDS[found[1]](found[2] or ""), markdown)


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"


def suites(_: str) -> str:
    """Every suite with its page."""
    from bench import registry

    found = map(registry.load_suite, registry.suites())
    return table(
        ("suite", "version", "data unless told otherwise", "what it measures"),
        ((f"[{s.name}]({s.name}.md)", str(s.version), s.data, s.about) for s in found),
    )


def metrics(name: str) -> str:
    """Every column of a suite."""
    from bench import registry

    suite = registry.load_suite(name)
    said = f"Suite `{suite.name}`, version {suite.version}, on `{suite.data}` unless `--data` says otherwise.\n\n"
    return said + described(suite.metrics) + requested(suite)


def requested(suite: Suite) -> str:
    """The columns that a suite has only where it is asked for them."""
    from bench.lm import options as lm

    words = {"asr": "per", "codes": "units", "lm": ",".join(lm.WORDS), "probe": "mel,label:NAME"}.get(suite.name)
    if not words or not suite.with_asked:
        return ""
    usual = {m.name for m in suite.metrics}
    further = [m for m in suite.with_asked(words).metrics if m.name not in usual]
    return f"\nWith `--{suite.name}-options {words}`, each of which may be left out, also:\n\n" + described(further)


def described(metrics: Iterable[Metric]) -> str:
    """A table of columns."""
    lines = (
        (f"`{m.name}`", m.unit or "–", DIRECTIONS[m.better], where(m), f"{m.tolerance:g}", m.about[:1].upper() + m.about[1:])
        for m in metrics
    )
    return table(("column", "unit", "better", "evaluated on", "tolerance", "definition"), lines)


def columns(_: str) -> str:
    """The columns of all suites."""
    from bench import registry

    return "\n".join(f"## {name}\n\n{metrics(name)}" for name in registry.suites())


def where(metric: Metric) -> str:
    """The domains that have the column, and the rate at which a function of two signals is evaluated."""
    if not metric.score:
        return "all" if len(metric.rates) == 3 else ", ".join(metric.rates)
    return ", ".join(f"{domain} at {rate / 1000:g} kHz" for domain, rate in metric.rates.items())


def definitions(_: str) -> str:
    """What the functions of signal metrics say of themselves."""
    from bench.metrics import METRICS

    lines = ((f"`{m.name}`", inspect.getdoc(m.score) or m.about) for m in METRICS.values() if m.score)
    return table(("column", "definition and source"), ((name, " ".join(linked(text).split())) for name, text in lines))


def linked(text: str) -> str:
    """Addresses as links."""
    return re.sub(r"\b((?:[a-z]+\.)?(?:arxiv|doi|github|rowetel)\.(?:org|com)/[^\s,;)]*[^\s,;).])", r"[\1](https://\1)", text)


def tokenizers(_: str) -> str:
    """Every family with its variants."""
    from bench import registry
    from bench.report import describe

    header, lines = describe.tokenizers()
    by_label = {line[0]: (*line[:-1], line[-1].replace("downloaded", "downloadable")) for line in lines}  # whatever this machine has
    parts = []
    for family, variants in registry.families().items():
        first = next(iter(variants.values()))
        told = [by_label[variant.spec.label] for variant in variants.values()]
        parts.append(f"### {family}\n\n{introduced(family, first)}\n\n" + table(header, ((f"`{line[0]}`", *line[1:]) for line in told)))
    return "\n".join(parts)


def which(_: str) -> str:
    """Every tokenizer with what it is."""
    from bench.report import which as facts

    header, lines = facts.tokenizers()
    return table(header, ((f"`{line[0]}`", *line[1:-1], linked(line[-1])) for line in lines))


def parity(_: str) -> str:
    """Every family of parity.csv, and those that nothing was compared of."""
    from bench import registry

    with (ROOT / "docs" / "parity.csv").open(encoding="utf-8", newline="") as file:
        known = {line["family"]: list(line.values())[1:] for line in csv.DictReader(file)}
    if strangers := known.keys() - registry.families().keys():
        raise ValueError(f"docs/parity.csv names {', '.join(sorted(strangers))}: no such family")
    trained = [name for name, found in registry.families().items() if any(v.checkpoint for v in found.values())]
    lines = [(f"`{name}`", *(cell or "not measured" for cell in known.get(name, [""] * 5))) for name in trained]
    heads = ("family", "compared", "official code", "codes equal", "audio differs by at most", "speed, ours / official")
    return table(heads, ((*line[:2], linked(line[2]), *line[3:]) for line in lines))


def introduced(family: str, variant: Variant) -> str:
    """What a family is, in the first sentences of its file, and where it comes from."""
    import importlib

    text = inspect.getdoc(importlib.import_module(f"bench.tokenizers.{family}")) or ""
    source = f"\n\nSource: {linked(variant.spec.source.replace('https://', ''))}." if variant.spec.source else ""
    return text.split("\n\n")[0] + source


def published(_: str) -> str:
    """What papers and public comparisons state."""
    from bench.report import published as stated

    parts = []
    for found in stated.tables(stated.beside(stated.published(), [])):
        clips = f", {found.clips:,} clips" if found.clips else ""
        lines = (
            (system, f"`{label}`" if label else "", *(one.published.shown if one else "" for one in scores))
            for system, label, scores in found.lines
        )
        parts.append(f"{found.data}{clips}. Source: {linked(found.source)}.\n\n" + table(("system", "tokenizer here", *found.heads), lines))
    return "\n".join(parts)


def board(name: str) -> str:
    """A section of the leaderboards' README."""
    text = (ROOT / "leaderboards" / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return found[1].strip() + "\n" if found else f"No stored run has anything to show {name.lower()}.\n"


def toys(kind: str) -> str:
    """Sources of codes with known entropy: what each layout must pay, computed from their tables."""
    sys.path.insert(0, str(ROOT))  # of the tests, which hold the models to the same numbers: first, as packages bring a "tests", too
    from tests.toy_sources import source

    size = 8
    names = (
        "each coarse code follows from the one before, the fine one from it",
        "coarse codes look at the last fine one, too",
        "the same, fine codes nearly decided",
    )
    found = [source(number, size).entropies() for number in (1, 2, 3)]
    uniform = 2 * math.log2(size)
    if kind == "gain":
        lines = ((n, f"{1 - e['depth'] / uniform:.2f}", f"{1 - e['depth'] / e['zero']:.2f}") for n, e in zip(names, found, strict=True))
        return table(("source", "`lm_gain`", "`lm_gain_context`"), lines)
    heads = ("depth, flattened", "delayed", "parallel")
    lines = (
        (
            n,
            f"{uniform:g}",
            f"{e['zero']:.2f}",
            f"{e['depth']:.2f}",
            *(f"{e[k]:.2f} (+{100 * abs(e[k] / e['depth'] - 1):.0f} %)" for k in heads[1:]),
        )
        for n, e in zip(names, found, strict=True)
    )
    return table(("source", "log2(size)", "how often alone", *heads), lines)


def data(_: str) -> str:
    """The data sets that have a name, without what differs from machine to machine."""
    from bench.report import describe

    header, lines = describe.data_sets()
    return table(header[:-1], [line[:-1] for line in lines])


def help_of(words: str) -> str:
    """What `bench WORDS --help` prints."""
    from bench.cli import main

    os.environ["COLUMNS"] = "96"
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*words.split(), "--help"])
    return f"```text\n{out.getvalue().strip()}\n```\n"


def commands(_: str) -> str:
    """The help of every command."""
    found = re.findall(r"^    ([a-z]+)\b", help_of(""), re.M)
    return "\n".join(f"## bench {name}\n\n{help_of(name)}" for name in found)


def file(name: str) -> str:
    """A Markdown file of the repository, without its title; links to other files become plain text."""
    text = (ROOT / name).read_text(encoding="utf-8").split("\n", 1)[1]
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", text)


def codec(_: str) -> str:
    """The codec of the README."""
    (block,) = re.findall(r"^```python\n.*?^```\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    return block


KINDS: dict[str, Callable[[str], str]] = {
    "suites": suites,
    "metrics": metrics,
    "columns": columns,
    "definitions": definitions,
    "tokenizers": tokenizers,
    "data": data,
    "published": published,
    "which": which,
    "parity": parity,
    "board": board,
    "toys": toys,
    "help": help_of,
    "commands": commands,
    "file": file,
    "codec": codec,
}
