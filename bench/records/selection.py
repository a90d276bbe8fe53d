"""Which of many stored runs belong side by side: of each suite the complete ones that were made alike, one a tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.records.reader import Kept, natural
from bench.records.writer import key_of


def alike(runs: Iterable[Kept]) -> list[Kept]:
    """Of each suite the complete runs of one fingerprint (data, version, seed, ...): the one that most tokenizers have, of equals the
    newest. Of a tokenizer that has several such runs, the newest. By suite, then by label."""
    suites: dict[str, dict[str, list[Kept]]] = {}
    for run in runs:
        if not run.unfinished:
            suites.setdefault(run.suite, {}).setdefault(key_of(run.fingerprint), []).append(run)
    chosen = [_newest(max(groups.values(), key=_weight)) for _, groups in sorted(suites.items(), key=lambda item: rank(item[0]))]
    return [run for group in chosen for run in group]


def rank(suite: str) -> tuple[bool, str]:
    """The order of suites: what bench run does unless told otherwise comes first."""
    return suite != "reconstruction", suite


def _weight(group: Sequence[Kept]) -> tuple[int, str]:
    return len({run.label for run in group}), max(_started(run) for run in group)


def _newest(group: Sequence[Kept]) -> list[Kept]:
    by_label = {run.label: run for run in sorted(group, key=_started)}
    return sorted(by_label.values(), key=lambda run: natural(run.label))


def _started(run: Kept) -> str:
    return run.record.get("started", "")
