"""One meaning of a name for every command.

`mimi` is the default variant of its family, `mimi@24khz` that variant, `mimi@*` all of them (`*` and `?` as in file names), `a,b` several,
`kyutai/mimi` what a hub calls so, `./my_codec.py` and `./my_codec.py@8bit` a file of one's own.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
import re
from collections.abc import Iterable, Sequence

from bench.api import UserError, Variant
from bench.catalog import index

FILE = re.compile(r"(?P<path>.+\.py)(@(?P<variant>[^/\\]+))?")  # a folder may have an @ in its name, too
HUBS = ("https://huggingface.co/", "hf://", "hf:")


def nearest(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'mimi'?`, or "." where nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f": did you mean {near[0]!r}?" if near else "."


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that nothing has: the nearest one first, then all, which should be few."""
    known = list(known)
    return UserError(f"no {kind} is called {name!r}{nearest(name, known)} Known: {', '.join(known)}")


def families() -> list[str]:
    """Every family of tokenizers."""
    return index.stems("tokenizers")


def labels() -> list[str]:
    """Every tokenizer as `family@variant`, each family's default first."""
    return [f"{family}@{variant}" for family in families() for variant in index.family(family).variants]


def hub_ids() -> dict[str, str]:
    """Hub id -> label."""
    return {name: f"{family}@{variant}" for family in families() for name, variant in index.family(family).hub.items()}


def suites() -> list[str]:
    """Every suite."""
    return index.stems("tasks")


def split(words: Sequence[str]) -> list[str]:
    """The parts of comma lists; a path that exists stays whole."""
    # Path.exists would raise for a list that is longer than a file's name may be
    parts = [[word] if os.path.exists(word) else [part.strip() for part in word.split(",")] for word in words]
    found = [part for several in parts for part in several if part]
    if not found:
        raise UserError("no name is given: write as mimi or mimi,opus@12kbps")
    return list(dict.fromkeys(found))


def is_pattern(word: str) -> bool:
    """Whether a word may stand for several."""
    return "*" in word or "?" in word


def matches(pattern: str, label: str) -> bool:
    """Whether a label is one of a pattern's, as `opus@*`."""
    return fnmatch.fnmatchcase(label, pattern.replace("[", "[[]"))


def tokenizers(words: Sequence[str]) -> list[str]:
    """The labels that words name, in their order, each once; files of one's own as they were given. UserError for what nothing is."""
    return list(dict.fromkeys(label for word in split(words) for label in _tokenizers(word)))


def tokenizer(word: str) -> str:
    """The one label that a word names."""
    found = tokenizers([word])
    if len(found) > 1:
        raise UserError(f"{word} names {len(found)} tokenizers, and one is wanted: {_few(found)}")
    return found[0]


def variant(word: str) -> Variant:
    """The facts of the one tokenizer of the registry that a word names; `load` imports what it needs when it is called."""
    family, _, chosen = tokenizer(word).partition("@")
    return index.family(family).variants[chosen]


def _tokenizers(word: str) -> list[str]:
    if FILE.fullmatch(word):  # which variants match is known when it is loaded
        return [word]
    if is_pattern(word):
        if found := [label for label in labels() if matches(word, label)]:
            return found
        raise UserError(f"no tokenizer is matched by {word!r}. {_families()}")
    return [label_of(word)]


def label_of(word: str) -> str:
    """The label of a family, a label or a hub id."""
    if "/" in word:
        return _of_hub(word)
    name, _, variant = word.partition("@")
    if name not in families():
        raise UserError(f"no tokenizer is called {word!r}{_near_family(word)} {_families()}")
    variants = list(index.family(name).variants)
    if variant and variant not in variants:
        close = nearest(word, [f"{name}@{known}" for known in variants])
        raise UserError(f"no tokenizer is called {word!r}{close} {name} has {_few(variants)} (bench list tokenizers {name})")
    return f"{name}@{variant or variants[0]}"


def _near_family(word: str) -> str:
    name, _, variant = word.partition("@")
    near = difflib.get_close_matches(name, families(), n=1, cutoff=0.6)
    if not near:
        return "."
    whole = f"{near[0]}@{variant}"
    return f": did you mean {(whole if variant in index.family(near[0]).variants else near[0])!r}?"


def _of_hub(word: str) -> str:
    name = word
    for hub in HUBS:
        name = name.removeprefix(hub)
    known = {key.casefold(): label for key, label in hub_ids().items()}
    if (found := known.get(name.rstrip("/").casefold())) is None:
        raise UserError(f"no tokenizer is called {word!r}{nearest(name, hub_ids())} {_families()}")
    return found


def _families() -> str:
    return f"Families: {', '.join(families())} (bench list tokenizers names their variants)"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def chosen_suites(words: Sequence[str]) -> list[str]:
    """The suites that words name: names, comma lists, or `all`."""
    found: list[str] = []
    for word in split(words):
        if word != "all" and word not in suites():
            raise unknown("suite", word, [*suites(), "all"])
        found += suites() if word == "all" else [word]
    return list(dict.fromkeys(found))
