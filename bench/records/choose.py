"""Which runs a command reads, by the names of tokenizers: finished ones, all on one data set, the newest of each tokenizer.

The data set is the suite's own where every tokenizer that is named ran on it, else the newest that all have in common; --data, --limit and
--run say otherwise. A run that has not finished is never a candidate. What was taken, and what was left out, is said in notes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.api import UserError
from bench.catalog import index, names
from bench.records import reader
from bench.records.reader import Kept
from bench.records.writer import SEAL, folder_name
from bench.weights.transfer import digest_of


@dataclass(frozen=True)
class Wish:
    """What a user says of the runs beside the names of their tokenizers."""

    data: str = ""  # the name of the data set, its manifest or its folder
    clips: int | None = None  # how many of them, as --limit had it
    runs: tuple[Path, ...] = ()  # folders of runs, each in the place of any other run of its tokenizer


def alike(identity: Mapping) -> str:
    """The same text for all runs whose scores may be compared."""
    return json.dumps(reader.fingerprint(identity), sort_keys=True)


@dataclass(frozen=True)
class Head:
    """The run.json of a run, and where it is."""

    folder: Path
    record: Mapping

    @property
    def label(self) -> str:
        """As the folder has it."""
        return reader.label_of(self.folder)

    @cached_property
    def finished(self) -> bool:
        """Whether every clip has its rows: it was sealed, and no clip was taken out since, to be run again."""
        if SEAL not in self.record:
            return False
        try:
            found = digest_of(self.folder / "rows.csv", "sha256")
        except OSError:
            return False
        return found == self.record[SEAL] or not reader.unfinished(self.folder, self.record)

    @property
    def alike(self) -> str:
        """The same in all runs whose scores may be compared."""
        return alike(self.record["identity"])

    @property
    def data(self) -> str:
        """In words."""
        return f"{self.record['data_name']} ({self.record['clips']} clips)"

    @property
    def started(self) -> tuple[str, float]:
        """When, as ISO 8601 in UTC; and when its record was written last."""
        return self.record.get("started", ""), (self.folder / "run.json").stat().st_mtime

    @property
    def trained(self) -> bool:
        return not self.record["identity"]["tokenizer"]["weights"].startswith("seed:")


@dataclass(frozen=True)
class Choice:
    """The runs, in the order of the names, and the folders that each word means; the data that was taken, and what may surprise."""

    runs: list[Kept]
    data: str  # "" where folders were named
    notes: list[str]
    of: Mapping[str, list[Path]]


def heads(results: Path, suites: Sequence[str] = ()) -> list[Head]:
    """Every run below `results`, finished or not."""
    return [Head(folder, reader.record_of(folder)) for folder in reader.folders(results, suites)]


USUAL = Wish()


def choose(operands: Sequence[str], results: Path, suite: str, wish: Wish = USUAL, prefer: str = "") -> Choice:
    """The runs that words name: run folders, rows.csv files, and names of tokenizers as every command has them.

    `prefer`: what `Head.alike` is to be where there are such runs.
    """
    words = [part for word in operands for part in ([word] if reader.named_folder(word) else names.split([word]))]
    folders = {word: folder for word in words if (folder := reader.named_folder(word))}
    given = [_given(path) for path in wish.runs]
    rest = [word for word in words if word not in folders]
    replaced = {head.label for head in given}
    found = [head for head in (heads(results, [suite]) if rest else []) if head.label not in replaced] + given
    wanted = {word: labels_of(word, found, results / suite) for word in rest}
    named = [Head(folder, reader.record_of(folder)) for folder in folders.values()]
    chosen, notes = _on_common_data(wanted, found, suite, wish, named, prefer) if wanted else ([], [])
    by_label = {head.label: head.folder for head in chosen}
    of = {word: [folders[word]] if word in folders else [by_label[n] for n in wanted[word] if n in by_label] for word in words}
    listed = dict.fromkeys([place for several in of.values() for place in several] + [head.folder for head in given])
    on = f"runs on {chosen[0].data}, sha256 {chosen[0].record['identity']['data'][:8]}" if chosen else ""
    return Choice([reader.read(folder) for folder in listed], on, notes, of)


def _given(path: Path) -> Head:
    folder = reader.named_folder(str(path))
    if folder is None:
        raise UserError(f"--run {path}: no run is there: name a folder that holds run.json and rows.csv")
    return Head(folder, reader.record_of(folder))


def labels_of(word: str, found: Iterable[Head], where: Path) -> list[str]:
    """The labels, as folders have them, that a word stands for among runs; UserError where there is none."""
    ran = list(dict.fromkeys(head.label for head in found))
    if labels := means(word, ran):
        return labels
    raise UserError(_no_run(word, ran, where))


def means(word: str, ran: Sequence[str]) -> list[str]:
    """Those of some labels that a word stands for."""
    if names.is_pattern(word):
        return [label for label in ran if names.matches(word, label)]
    label = folder_name(meant(word, ran))
    return [label] if label in ran else []


def meant(word: str, ran: Sequence[str]) -> str:
    """The label that a word means. A family of the user's own, which the registry does not know, means its only variant that ran."""
    if folder_name(word) in ran:
        return word
    family, _, variant = word.partition("@")
    if family in names.families() or ("/" in word and word.casefold() in map(str.casefold, names.hub_ids())):
        return word if variant else names.label_of(word)
    own = [label for label in dict.fromkeys(ran) if label.partition("@")[0] == folder_name(word)]
    if len(own) > 1:
        raise UserError(f"{word} ran in several variants: name one of {_few(own)}, or all of them as '{word}@*'")
    return own[0] if own else word


def _no_run(word: str, ran: Sequence[str], where: Path) -> str:
    label = word if names.is_pattern(word) else meant(word, ran)
    said = f"{word} ({label})" if label != word else word
    family = [other for other in ran if other.partition("@")[0] == label.partition("@")[0]]
    cure = f"bench run --suite {where.name} --tokenizer {label}" if not names.is_pattern(word) else "bench run"
    return f"no run of {said} in {where}: make one with {cure}, or name one of {_few(family or ran)}"


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")


def _on_common_data(
    wanted: Mapping[str, Sequence[str]], found: Sequence[Head], suite: str, wish: Wish, named: Sequence[Head], prefer: str
) -> tuple[list[Head], list[str]]:
    """A run of every label, all on one data set, and what is to be said of the choice."""
    labels = list(dict.fromkeys(label for several in wanted.values() for label in several))
    candidates = [head for head in found if head.label in labels and head.finished]
    _refuse_unfinished(wanted, found, candidates)
    groups: dict[str, list[Head]] = {}
    for head in _as_wished(wanted, candidates, wish):
        groups.setdefault(head.alike, []).append(head)
    able = [several for key, several in groups.items() if not named or key == named[0].alike]
    common = [several for several in able if all({head.label for head in several} & set(some) for some in wanted.values())]
    if not common:
        raise UserError(_nothing_in_common(wanted, candidates, named))
    own = _own_data(suite)

    def worth(several: Sequence[Head]) -> tuple:
        first = several[0]
        return first.alike == prefer, first.record["identity"]["data"] == own, len({head.label for head in several}), newest(several)

    best = max(common, key=worth)
    twins = {label: [head for head in best if head.label == label] for label in labels}
    chosen = [newest_of(several) for several in twins.values() if several]
    return chosen, [*(_others(chosen, groups) if chosen[0].alike != prefer else []), *_left_out(twins)]


def newest_of(twins: Sequence[Head]) -> Head:
    """The newest run, one with trained weights before any with random ones."""
    return max(twins, key=lambda head: (head.trained, head.started))


def newest(several: Iterable[Head]) -> tuple[str, float]:
    """When the newest began."""
    return max(head.started for head in several)


def _own_data(suite: str) -> str:
    """sha256 of the data that a suite runs on unless told otherwise; "" of a suite that is not known here."""
    from bench.data.manifests import open_data

    return open_data(index.suite(suite).data).sha256 if suite in names.suites() else ""


def _refuse_unfinished(wanted: Mapping[str, Sequence[str]], found: Sequence[Head], finished: Sequence[Head]) -> None:
    done = {head.label for head in finished}
    for word, several in wanted.items():
        if not done & set(several):
            folder = next(head.folder for head in found if head.label in several)
            raise UserError(f"{word} has no finished run ({folder} was stopped): the same bench run goes on from there")


def _as_wished(wanted: Mapping[str, Sequence[str]], candidates: Sequence[Head], wish: Wish) -> list[Head]:
    digests = _digests(wish.data, candidates)
    kept = [
        head
        for head in candidates
        if (not wish.data or (head.record["identity"]["data"] in digests if digests else head.record["data_name"] == wish.data))
        and (wish.clips is None or head.record["clips"] == wish.clips)
    ]
    for word, several in wanted.items():
        if not any(head.label in several for head in kept):
            there = dict.fromkeys(head.data for head in candidates if head.label in several)
            asked = " ".join(filter(None, (f"--data {wish.data}" if wish.data else "", f"--limit {wish.clips}" if wish.clips else "")))
            raise UserError(f"no finished run of {word} with {asked}: it ran on {', '.join(there)}")
    return kept


def _digests(source: str, candidates: Iterable[Head]) -> set[str]:
    """sha256 of a manifest or folder, whole and with so many clips, so that its name need not be known; none of a data set's name."""
    from bench.data.manifests import open_data

    path = Path(source)
    if not (source and path.exists() and ("/" in source or path.is_file())):
        return set()
    whole = open_data(source)
    asked = {(h.record["identity"]["suite"], h.record["clips"], h.record["identity"]["seed"]) for h in candidates}
    limited = [(s, count, seed) for s, count, seed in asked if count < len(whole.clips) and s in names.suites()]
    return {whole.sha256} | {open_data(source, count, index.suite(suite).domains, seed).sha256 for suite, count, seed in limited}


def _nothing_in_common(wanted: Mapping[str, Sequence[str]], candidates: Sequence[Head], named: Sequence[Head]) -> str:
    there = {head.label: [head] for head in named[:1]} | {w: [h for h in candidates if h.label in several] for w, several in wanted.items()}
    for (a, ours), (b, theirs) in itertools.combinations(there.items(), 2):
        if {head.alike for head in ours}.isdisjoint(head.alike for head in theirs):
            ours_last, theirs_last = (Kept(head.folder, head.record, ()) for head in (ours[-1], theirs[-1]))
            different = reader.unlike(ours_last, theirs_last)
            return f"{a} and {b} have no finished runs that can be compared, they differ in {'; '.join(different)}: run both alike"
    facts = [f"{word} on {', '.join(dict.fromkeys(head.data for head in several))}" for word, several in there.items()]
    return f"no data set that all have finished runs on: {'; '.join(facts)}: run them alike"


def _others(chosen: Sequence[Head], groups: Mapping[str, Sequence[Head]]) -> list[str]:
    others = dict.fromkeys(several[0].data for several in groups.values() if several[0].alike != chosen[0].alike)
    return [f"taken: runs on {chosen[0].data}; there are others on {', '.join(others)} (--data, --limit)"] if others else []


def _left_out(twins: Mapping[str, Sequence[Head]]) -> list[str]:
    notes = []
    if left := [label for label, several in twins.items() if not several]:
        notes.append(f"left out, without a finished run on that data: {_few(left)}")
    for label, several in twins.items():
        if len(several) > 1:
            notes.append(f"{label}: {newest_of(several).folder}, the newest of {len(several)} runs (--run names another)")
    return notes
