"""A recipe as a file: TOML with the fields of a `Recipe` that are to differ, and the whole recipe of a run as JSON beside its checkpoint.

`batch = 4` at the top; the fields of what lies deeper in tables, as `[loss]` with `mel = 2.0`. An `[adversarial]` table gives a recipe
without discriminators some. What a file does not name stays as the family's recipe has it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.api import UserError
from bench.train.recipes import Recipe, UnitRecipe

KEPT = "recipe.json"
AT_LEAST_ONE = {"batch", "report_every", "check_every", "every"}
ABOVE_NONE = {"seconds", "rate", "clip", "rise"}
R = TypeVar("R", bound=Recipe | UnitRecipe)


def read(path: Path, base: R) -> R:
    """The recipe `base` with what the file says (.toml, or .json as `keep` writes it). UserError for a key or a value that none has."""
    try:
        text = path.read_text(encoding="utf-8")
        facts = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a recipe ({error}): give a TOML file with --recipe") from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is no TOML ({error}): write lines such as batch = 4") from error
    if not isinstance(facts, dict):
        raise UserError(f"{path} holds no recipe: write lines such as batch = 4")
    return _changed(base, facts, f"{path}: ")


def keep(recipe: Recipe | UnitRecipe, out: Path) -> None:
    """Write the whole recipe beside a run's checkpoint; UserError where the run there was begun by another one."""
    now = json.loads(json.dumps(dataclasses.asdict(recipe)))
    path = out / KEPT
    if not path.exists() or not (out / "checkpoint.pt").exists():
        path.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        return
    begun = json.loads(path.read_text(encoding="utf-8"))
    differ = [name for name in {**begun, **now} if begun.get(name) != now.get(name)]
    if differ:
        raise UserError(f"{out} was begun by another recipe ({', '.join(differ)} differ): go on with --recipe {path}")


def _changed(base: object, facts: Mapping[str, object], where: str) -> R:
    """A frozen dataclass with other values of some fields."""
    hints = get_type_hints(type(base))
    for name in facts:
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1, cutoff=0.6)
            hint = f": did you mean {near[0]!r}?" if near else "."
            raise UserError(f"{where}no recipe has {name!r}{hint} Known: {', '.join(hints)}")
    found = {name: _fitted(value, hints[name], getattr(base, name), f"{where}{name}") for name, value in facts.items()}
    return dataclasses.replace(base, **found)  # type: ignore[type-var]


def _fitted(value: object, hint: object, now: object, where: str) -> object:
    """A value of a file as the field's type has it."""
    if get_origin(hint) in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UserError(f"{where} is a table: write [{where.rpartition(' ')[2]}], and its fields below")
        return _changed(_blank(hint) if now is None else now, value, f"{where}.")
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        if not isinstance(value, list) or not (kinds[-1] is Ellipsis or len(value) == len(kinds)):
            raise UserError(f"{where} must be a list{'' if kinds[-1] is Ellipsis else f' of {len(kinds)}'}, not {value!r}")
        each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else kinds
        return tuple(_fitted(one, kind, None, where) for one, kind in zip(value, each, strict=True))
    return _plain(value, hint, where)


def _plain(value: object, hint: object, where: str) -> object:
    name = where.rpartition(" ")[2].rpartition(".")[2]
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise UserError(f"{where} must be one of {', '.join(map(str, get_args(hint)))}, not {value!r}")
        return value
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    assert isinstance(hint, type)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = number and math.isfinite(value) if hint is float else isinstance(value, hint) and (hint is not int or number)  # type: ignore[arg-type]
    if not fits:
        raise UserError(f"{where} must be {wanted[hint]}, not {value!r}")
    if name in AT_LEAST_ONE and value < 1 or name in ABOVE_NONE and value <= 0:  # type: ignore[operator]
        raise UserError(f"{where} must be {'at least 1' if name in AT_LEAST_ONE else 'above 0'}, not {value!r}")
    if hint is int and value < 0:  # type: ignore[operator]  # steps and counts
        raise UserError(f"{where} must be at least 0, not {value!r}")
    return float(value) if hint is float else value  # type: ignore[arg-type]


def _blank(kind: type) -> object:
    """One of that kind as it is unless told otherwise; what has no default begins at 0."""
    needed = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    return kind(**dict.fromkeys(needed, 0))
