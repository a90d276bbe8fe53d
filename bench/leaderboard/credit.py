"""What a submission says of itself beside its scores: its author, the tokenizer's source and licence; and the suites that it lacks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from bench.api import UserError
from bench.catalog import index, names
from bench.records import reader
from bench.records.reader import Kept
from bench.records.writer import folder_name

KEY = "submission"  # in run.json, beside what bench run wrote
CURE = {
    "author": "who submits it: --author 'NAME <ADDRESS>'",
    "source": "where the tokenizer is described: --source URL, or Spec(source=...)",
    "licence": "the licence of its weights or library: --licence NAME, or Spec(licence=...)",
}


@dataclass(frozen=True)
class Credit:
    """Kept in run.json as `submission`."""

    author: str
    source: str
    licence: str
    recomputed: bool  # whether its scores were found again when it was added


def credit(run: Kept, author: str, source: str, licence: str, recomputed: bool) -> Credit:
    """What the flags say, else what an earlier submission or the tokenizer's Spec does; UserError names what nobody says."""
    known = run.record.get(KEY, {}) | {key: value for key, value in _spec(run).items() if value}
    given = {"author": author, "source": source, "licence": licence}
    found = {key: value.strip() or str(known.get(key, "")).strip() for key, value in given.items()}
    if lacking := [key for key, value in found.items() if not value]:
        raise UserError(f"{run.where}: a submission needs {'; '.join(CURE[key] for key in lacking)}")
    for key, value in found.items():
        if not value.isprintable() or len(value) > 300:
            raise UserError(f"--{key}: one line of at most 300 printable characters is wanted")
    return Credit(**found, recomputed=recomputed)


def known(run: Kept) -> dict[str, str]:
    """Source and licence of a tokenizer: those of its submission, else of its Spec; "" where nobody says."""
    said = run.record.get(KEY, {})
    return {key: str(said.get(key, "")) or value for key, value in _spec(run).items()}


def unproven(run: Kept) -> str:
    """What readers of a board are told of a submission whose scores were not found again; "" of any other run."""
    said = run.record.get(KEY, {})
    return f"scores as {said.get('author', 'somebody')} submitted them, not recomputed" if said.get("recomputed") is False else ""


def _spec(run: Kept) -> dict[str, str]:
    """Source and licence as the tokenizer's Spec has them: of the registry, or of a file of one's own as its run wrote them down."""
    if not run.identity["code"] and run.label in names.labels():
        spec = names.variant(run.label).spec
        return {"source": spec.source, "licence": spec.licence}
    return {key: str(run.record.get(key, "")) for key in ("source", "licence")}


def stated(run: Kept, said: Credit) -> Kept:
    """The same run with its credit in its record."""
    return Kept(run.where, {**run.record, KEY: asdict(said)}, run.rows)


def missing_suites(run: Kept, results: Path) -> str:
    """A line with the suites that the tokenizer has no run of there, and the command that makes them; "" where none is missing."""
    decodes = bool(run.tokenizer["decodes"])
    wanted = [name for name in names.suites() if decodes or not index.suite(name).needs_decode]
    label = folder_name(run.label)
    there = {path.parent.name for path in results.glob(f"*/{_escaped(label)}-????????") if reader.label_of(path) == label}
    if not (lacking := [name for name in wanted if name not in there]):
        return ""
    name = run.label if not run.identity["code"] else "FILE.py"
    return f"{run.label} has no run of {', '.join(lacking)}: bench run --suite {','.join(lacking)} --tokenizer {name}, and --add each"


def _escaped(label: str) -> str:
    from glob import escape

    return escape(label)
