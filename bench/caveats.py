"""What speaks against a comparison of runs: scores that are missing and why, packages of other versions."""

from __future__ import annotations

from collections.abc import Sequence

from bench.kept import Kept
from bench.stats import reasons


def missing(name: str, run: Kept) -> list[str]:
    """Why clips have no score."""
    out = [f"{name}: {run.unfinished} of {run.record['clips']} clips have not run yet: bench run goes on"] if run.unfinished else []
    scored = [row for row in run.rows if row.metric in run.metrics]
    for metrics, note, clips in reasons(scored)[:5]:
        few = metrics.split(", ")
        listed = ", ".join(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
        out.append(f"{name}: {clips} clip{'s' * (clips > 1)} without {listed}: {note}")
    return out


def packages(runs: Sequence[Kept]) -> list[str]:
    """Versions that differ: not part of the fingerprint, but they may move a score."""
    versions = [{**run.record.get("packages", {}), "device": run.record.get("machine", {}).get("device", "")} for run in runs]
    unlike = {name: [v.get(name, "none") for v in versions] for v in versions for name in v}
    different = [f"{name} {' / '.join(dict.fromkeys(found))}" for name, found in sorted(unlike.items()) if len(set(found)) > 1]
    return [f"not the same everywhere: {', '.join(different)}"] if different else []
