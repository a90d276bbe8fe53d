"""What limits a comparison of runs: who judged, scores that are missing and why, packages of other versions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.records.provenance import used
from bench.records.reader import Kept
from bench.report.formats import few
from bench.statistics.bootstrap import reasons, remarks


def evaluators(run: Kept) -> list[str]:
    """The models that a run asked, by name; it states `NAME sha256:..., settings`, or of several `PANEL: NAME sha256:..., NAME ...`."""
    stated = str(run.identity.get("judge", ""))
    panel, colon, members = stated.partition(": ")
    if colon and " " not in panel:
        return [member.split(" ")[0] for member in members.split(", ")]
    return [stated.split(" ")[0]] if stated else []


def missing(name: str, run: Kept) -> list[str]:
    """Why clips, or the whole corpus, have no score."""
    out = [f"{name}: {run.unfinished} of {run.record['clips']} clips have not run yet: bench run resumes"] if run.unfinished else []
    scored = [row for row in run.rows if row.metric in run.metrics]
    for metrics, note, clips in reasons(scored)[:5]:
        out.append(f"{name}: {clips} clip{'s' * (clips > 1)} without {few(metrics.split(', '))}: {note}")
    lost = [row for row in scored if row.clip == "*" and math.isnan(row.value)]
    return out + [
        f"{name}: no {few(metrics)} of {', '.join(domains)}: {note}" for metrics, domains, note in remarks(lost, run.metrics.values())
    ]


def packages(runs: Sequence[Kept]) -> list[str]:
    """Versions of what the suite uses, and hardware, that differ: not part of the fingerprint, but they may move a score."""
    machines = [run.record.get("machine", {}) for run in runs]
    hardware = [{part: machine.get(part, "") for part in ("device", "processor")} for machine in machines]
    families = {run.tokenizer["name"] for run in runs}
    versions = [
        {p: v for p, v in run.record.get("packages", {}).items() if used(p, run.suite, families, run.identity.get("judge", ""))} | parts
        for run, parts in zip(runs, hardware, strict=True)
    ]
    unlike = {name: [v.get(name, "none") for v in versions] for v in versions for name in v}
    different = [f"{name} {' / '.join(dict.fromkeys(found))}" for name, found in sorted(unlike.items()) if len(set(found)) > 1]
    return [f"not the same everywhere: {', '.join(different)}"] if different else []
