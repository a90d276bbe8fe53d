"""--config run.toml: the flags of `bench run` in a file. Those given on the command line override it.

Keys are the flags without dashes in front: `tokenizer = ["mimi", "opus@*"]`, `suite = "codes"`, `limit = 20`, `save-audio = "listen"`,
`untrained = true`. Paths are relative to the current folder, as on the command line.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.api import UserError

FLAG = "--config"


def read(arguments: Sequence[str], verbs: Mapping[str, argparse.ArgumentParser]) -> list[str]:
    """The same arguments with what the file that they name adds; UserError for a key or value that no flag has."""
    words = list(arguments)
    parser = verbs.get(words[0]) if words else None
    path = _path(words)
    if parser is None or path is None or FLAG not in parser._option_string_actions:
        return words
    given = {word.split("=")[0] for word in words[1:] if word.startswith("-")}
    return [words[0], *_words(path, parser, given), *words[1:]]


def _path(words: Sequence[str]) -> Path | None:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == FLAG and following or word.startswith(FLAG + "="):
            return Path(word.partition("=")[2] or following)
    return None


def _words(path: Path, parser: argparse.ArgumentParser, given: set[str]) -> Iterator[str]:
    actions = parser._option_string_actions
    for key, value in _facts(path).items():
        flag = "--" + key.replace("_", "-")
        if flag not in actions or flag in (FLAG, "--help"):
            from bench.catalog.names import nearest

            known = [name[2:] for name in actions if name.startswith("--") and name not in (FLAG, "--help")]
            raise UserError(f"{path}: bench {parser.prog.split()[-1]} has no flag {flag}{nearest(key, known)} Known: {', '.join(known)}")
        if given.isdisjoint(actions[flag].option_strings):
            yield from _flag(path, flag, actions[flag], value)


def _flag(path: Path, flag: str, action: argparse.Action, value: object) -> Iterator[str]:
    several = isinstance(action, argparse._AppendAction)
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UserError(f"{path}: {flag[2:]} must be true or false, not {value!r}")
        yield from [flag] * value
        return
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in values):
        raise UserError(f"{path}: {flag[2:]} must be a string, a number{' or a list of them' * several}, not {value!r}")
    for one in values if several else [",".join(map(str, values))]:
        yield f"{flag}={one}"


def _facts(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give a TOML file with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not TOML ({error}): write as tokenizer = ['mimi', 'opus@*']") from error
