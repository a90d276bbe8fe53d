"""index.json: the facts of every tokenizer and suite, kept so that a name is resolved, or found wrong, without importing torch.

The index is made by a command, `python -m bench.catalog.index`, and a test proves that it says what the files say. A file whose sha256
is not the one in the index (being edited, or new) is imported instead: the answer takes seconds, and is right.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from bench.api import (
    Checkpoint,
    Codebook,
    Domain,
    Metric,
    Row,
    Session,
    Spec,
    Suite,
    Tokenizer,
    TrainedHere,
    UserError,
    Variant,
    scored_domains,
)

FILE = Path(__file__).with_name("index.json")
HUB = re.compile(r"https://huggingface\.co/([^/]+/[^/]+)/resolve/")
SPEC = tuple(field.name for field in fields(Spec) if field.name not in ("name", "variant", "codebooks", "side"))


@dataclass(frozen=True)
class Family:
    """A file of tokenizers/: its variants, the default first, and the hub ids that name one of them."""

    name: str
    variants: Mapping[str, Variant]  # complete but for `features` and `exact`: `load` imports the file when it is called
    hub: Mapping[str, str]  # id as `kyutai/mimi` -> variant


@dataclass(frozen=True)
class Asked:
    """A file of tasks/: what can be known of a suite before it is imported. Columns are those of its default evaluator."""

    name: str
    version: int
    about: str
    data: str
    needs_decode: bool
    reads_alignments: bool
    timed: bool
    evaluators: tuple[str, ...]
    headline: tuple[str, ...]
    metrics: tuple[Metric, ...]
    signals: tuple[str, ...]  # the metrics that a function of two signals gives

    @property
    def domains(self) -> tuple[Domain, ...]:
        """Those of which any clip has a score."""
        return scored_domains(self.metrics)

    def suite(self) -> Suite:
        """The suite, imported when it is run; of one that asks evaluators or times, the identity is known by its file alone."""

        def run(session: Session) -> Iterator[Sequence[Row]]:
            return importlib.import_module(f"bench.tasks.{self.name}").SUITE.run(session)

        facts = self.name, self.version, self.about, self.metrics, self.data
        return Suite(*facts, run, self.needs_decode, reads_alignments=self.reads_alignments, headline=self.headline)


def stems(room: str) -> list[str]:
    """The names of the files of a folder of plug-ins, `tokenizers` or `tasks`."""
    return sorted(m.name for m in pkgutil.iter_modules(importlib.import_module(f"bench.{room}").__path__) if not m.name.startswith("_"))


@cache
def family(name: str) -> Family:
    """One of stems("tokenizers")."""
    known = _kept("tokenizers", name)
    return _family_from(name, known) if known else _family_of(name)


@cache
def suite(name: str) -> Asked:
    """One of stems("tasks")."""
    known = _kept("tasks", name)
    return _suite_from(name, known) if known else _suite_of(name)


def current(room: str, name: str) -> bool:
    """Whether the index knows the file as it is now."""
    return _kept(room, name) is not None


@lru_cache(maxsize=1)
def _index() -> dict[str, dict]:
    try:
        return json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{FILE}: cannot be read ({error}): reinstall audio-tokenizer-bench") from error


def _kept(room: str, name: str) -> dict | None:
    known = _index()[room].get(name)
    return known if known and known["sha256"] == _sha256(room, name) else None


@cache
def _sha256(room: str, name: str) -> str:
    places = [Path(folder) / f"{name}.py" for folder in importlib.import_module(f"bench.{room}").__path__]
    text = next(place for place in places if place.is_file()).read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(text).hexdigest()


def _family_of(name: str) -> Family:
    module = importlib.import_module(f"bench.tokenizers.{name}")
    hub = {found[1]: key for key, v in reversed(module.VARIANTS.items()) for file in v.files if (found := HUB.match(file.url))}
    return Family(name, module.VARIANTS, hub | getattr(module, "HUB_IDS", {}))


def _suite_of(name: str) -> Asked:
    suite: Suite = importlib.import_module(f"bench.tasks.{name}").SUITE
    facts = (suite.name, suite.version, suite.about, suite.data, suite.needs_decode, suite.reads_alignments, bool(suite.sweep))
    return Asked(*facts, suite.judges, suite.headline, suite.metrics, tuple(metric.name for metric in suite.metrics if metric.score))


def _family_from(name: str, known: Mapping) -> Family:
    return Family(name, {key: _variant(name, key, facts) for key, facts in known["variants"].items()}, known["hub"])


def _variant(family: str, name: str, facts: dict) -> Variant:
    books, side = (_codebooks(facts.get(key, ())) for key in ("codebooks", "side"))
    rest = {key: facts[key] for key in SPEC if key in facts and key not in ("sample_rate", "trained_here")}
    trained = TrainedHere(**facts["trained_here"]) if "trained_here" in facts else None
    spec = Spec(family, name, facts.get("sample_rate"), books, trained_here=trained, side=side, **rest)
    files = [Checkpoint(**file) for file in facts.get("files", [])]

    def load(spec: Spec, *paths: Path) -> Tokenizer:
        return importlib.import_module(f"bench.tokenizers.{family}").VARIANTS[name].load(spec, *paths)

    return Variant(spec, load, files[0] if files else None, beside=tuple(files[1:]))


def _suite_from(name: str, known: Mapping) -> Asked:
    metrics = tuple(Metric(**{**m, "span": (float(m["span"][0]), float(m["span"][1])), "score": None}) for m in known["metrics"])
    facts = {key: known[key] for key in ("version", "about", "data", "needs_decode", "reads_alignments", "timed")}
    return Asked(name, metrics=metrics, **{key: tuple(known[key]) for key in ("evaluators", "headline", "signals")}, **facts)


def _family_line(family: Family) -> dict:
    return {
        "sha256": _sha256("tokenizers", family.name),
        "hub": dict(sorted(family.hub.items())),
        "variants": {name: _variant_line(v) for name, v in family.variants.items()},
    }


def _variant_line(variant: Variant) -> dict:
    default = asdict(Spec("", "", None, ()))
    facts = {key: value for key, value in asdict(variant.spec).items() if key in SPEC and value != default[key]}
    books = {key: _book_lines(getattr(variant.spec, key)) for key in ("codebooks", "side")}
    if not books["side"]:
        del books["side"]
    files = [{key: value for key, value in asdict(file).items() if value or key == "sha256"} for file in variant.files]
    return facts | books | ({"files": files} if files else {})


def _book_lines(books: Sequence[Codebook]) -> list[tuple]:
    """Neighbours that are alike together, their number first."""
    return [(len(list(same)), *facts_of) for facts_of, same in groupby(books, _book_line)]


def _book_line(book: Codebook) -> list:
    """Size and rate (null: it varies), and what few codebooks have besides."""
    more = {field.name: getattr(book, field.name) for field in fields(book) if getattr(book, field.name) != field.default}
    size, rate = more.pop("size"), more.pop("rate")
    return [size, None if math.isnan(rate) else rate, *([more] if more else [])]


def _codebooks(lines: Sequence[Sequence]) -> tuple[Codebook, ...]:
    """The inverse of _book_lines."""
    return tuple(book for count, *facts_of in lines for book in (_codebook(*facts_of),) * count)


def _codebook(size: int, rate: float | None, more: Mapping = MappingProxyType({})) -> Codebook:
    rest = {key: more[key] for key in ("role", "table") if key in more}
    return Codebook(size, math.nan if rate is None else rate, levels=tuple(more.get("levels", ())), **rest)


def _suite_line(suite: Asked) -> dict:
    facts = {key: value for key, value in asdict(suite).items() if key not in ("name", "metrics")}
    metrics = [{key: value for key, value in asdict(m).items() if key != "score"} for m in suite.metrics]
    metrics = [m | {"span": [str(end) for end in m["span"]]} for m in metrics]  # JSON has no infinity
    return {"sha256": _sha256("tasks", suite.name)} | facts | {"metrics": metrics}


def made() -> str:
    """The index as the files say it is: imports torch."""
    tokenizers = {name: _family_line(_family_of(name)) for name in stems("tokenizers")}
    tasks = {name: _suite_line(_suite_of(name)) for name in stems("tasks")}
    return _pretty({"tokenizers": tokenizers, "tasks": tasks})


def _pretty(facts: Mapping, depth: int = 0) -> str:
    """JSON with a line for each variant and metric, so that a diff can be read."""
    if depth == 4 or not facts:
        return json.dumps(facts, ensure_ascii=False)
    lines = [f"{' ' * depth}{json.dumps(key)}: {_value(value, depth + 1)}" for key, value in facts.items()]
    return "{\n" + ",\n".join(lines) + f"\n{' ' * (depth - 1)}}}" + "\n" * (not depth)


def _value(value: object, depth: int) -> str:
    if isinstance(value, Mapping):
        return _pretty(value, depth)
    if isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
        return "[\n" + ",\n".join(f"{' ' * depth}{json.dumps(line, ensure_ascii=False)}" for line in value) + f"\n{' ' * (depth - 1)}]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    FILE.write_text(made(), encoding="utf-8", newline="\n")
    print(FILE)
