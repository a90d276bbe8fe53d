"""vocabulary.json: what the tokens mean, which tokenizers and which weights they are of, and how they were made.

Two runs that agree in `made` write the same shards; so what a stopped run left is used again, and of another run it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.api import Spec, UserError, Variant
from bench.records.writer import replace
from bench.tokenized.vocabulary import Column, Vocabulary

NAME = "vocabulary.json"
FORMAT = 1


@dataclass(frozen=True)
class Tokenized:
    """A tokenizer in a data set: the word that names it, and its variant."""

    word: str
    variant: Variant


def facts(of: Tokenized) -> dict[str, object]:
    """Of a tokenizer, what a reader and a decoder need to know."""
    spec = of.variant.spec
    stated = {
        "name": spec.label,
        "load": of.word,
        "weights": spec.weights,
        "code": of.variant.code,
        "sample_rate": spec.sample_rate,
        "output_rate": spec.output_rate or spec.sample_rate,
        "channels": spec.channels,
        "frame_rate": _number(spec.frame_rate),
        "codebooks": [_book(book.size, book.rate, book.role) for book in spec.codebooks],
        "side": [_book(book.size, book.rate, book.role) for book in spec.side],
        "decodes": spec.decodes,
        "sampled": spec.sampled,
        "keeps_level": spec.keeps_level,
        "longest": spec.longest,
        "context": spec.context,
        "licence": spec.licence,
    }
    return stated


def _book(size: int, rate: float, role: str) -> dict[str, object]:
    return {"size": size, "rate": _number(rate), "role": role}


def _number(value: float) -> float | None:
    return None if value != value else value  # JSON has no NaN


def document(how: Vocabulary, made: Mapping[str, object], learnt: Mapping[str, object] | None = None) -> str:
    """The text of vocabulary.json. `learnt`: of the layout bpe, how large it became and what it was learnt on."""
    size = int(str(learnt["size"])) if learnt else how.size
    if how.grid:
        vocabularies = [{"size": c.size + len(how.special(c.size)), "special": how.special(c.size)} for c in how.columns]
    else:
        vocabularies = [{"size": size + len(how.special(size)), "special": how.special(size)}]
    found = {
        "format": FORMAT,
        "layout": how.layout,
        "columns": how.width,
        "vocabularies": vocabularies,
        "streams": [_column(column) for column in how.columns],
        "side": [_column(column) for column in how.side],
        **({"bpe": dict(learnt)} if learnt else {}),
        "made": dict(made),
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _column(column: Column) -> dict[str, object]:
    return {**asdict(column), "rate": _number(column.rate)}


def read(folder: Path) -> dict:
    """vocabulary.json of a data set of tokens."""
    path = folder / NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no vocabulary of tokens is there ({error}): give a folder that bench tokenize has filled") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(f"{path} is no vocabulary of format {FORMAT}: write the tokens again with bench tokenize")
    return found


def claim(folder: Path, made: Mapping[str, object], text: str) -> None:
    """Writes vocabulary.json, or finds that of a run that was made alike; UserError where another made what is there."""
    path = folder / NAME
    if path.exists():
        before = read(folder)["made"]
        if before == json.loads(json.dumps(made)):
            return
        differ = sorted(key for key in {*before, *made} if before.get(key) != json.loads(json.dumps(made)).get(key))
        raise UserError(f"{folder} holds tokens that were made otherwise ({', '.join(differ)} differ): give another folder, or --fresh")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace(path, text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}): give another folder") from error


def refuse_other(stated: Mapping[str, object], spec: Spec, code: str) -> None:
    """UserError where a tokenizer is not the one that the tokens are of."""
    for what, ours in (("weights", spec.weights), ("code", code)):
        if stated[what] != ours:
            raise UserError(
                f"the tokens are of {stated['name']} with the {what} {str(stated[what])[:24]}..., not {ours[:24]}...: name that tokenizer"
            )


def words(made: Mapping) -> Sequence[str]:
    """How the tokenizers of a data set are named to load them."""
    return [str(one["load"]) for one in made["tokenizers"]]
