"""A run of test_registry_speed.py against a stored one, by the ratios to the yardstick of each.

python -m tests.perf.ratios latest.json stored.json            prints what got slower; exit code 1 where anything did
python -m tests.perf.ratios latest.json stored.json --store    makes the latest run the stored one
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

SLOWER = 1.4  # times the stored ratio: more is a fault
TRIFLE = 0.1  # yardsticks: a call that grows by less is too short to be told from noise
ELSEWHERE = 2.5  # the same, where the stored run is of another processor: caches and vector units differ


@dataclass(frozen=True)
class Stored:
    """Where a run was made, and the ratio of every benchmark."""

    processor: str
    torch_threads: int
    ratios: Mapping[str, float]


def read(path: Path) -> Stored:
    """Of pytest-benchmark's JSON, or of what `--store` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if "ratios" in content:
        return Stored(**content)
    benchmarks = content["benchmarks"]
    ratios = {b["name"]: b["extra_info"]["ratio"] for b in benchmarks}
    return Stored(content["machine_info"]["cpu"].get("brand_raw", "unknown"), benchmarks[0]["extra_info"]["threads"], ratios)


def verdict(now: Stored, then: Stored) -> tuple[list[str], bool]:
    """What there is to say, the last line being the verdict; whether it is a pass."""
    alike = (now.processor, now.torch_threads) == (then.processor, then.torch_threads)
    limit = SLOWER if alike else ELSEWHERE
    lines: list[str] = []
    if not alike:
        lines.append(
            f"the stored run is of {then.processor}, {then.torch_threads} threads; this one of {now.processor}, {now.torch_threads}"
        )
    both = sorted(now.ratios.keys() & then.ratios.keys())
    slow = [name for name in both if now.ratios[name] > limit * then.ratios[name] + TRIFLE]
    for name in both:
        change = now.ratios[name] / then.ratios[name]
        if name in slow or now.ratios[name] + TRIFLE < then.ratios[name] / limit:
            lines.append(
                f"{'SLOWER' if name in slow else 'faster'}  {name}: {change:.2f} x the stored time ({now.ratios[name]:.3g} yardsticks)"
            )
    gone, new = then.ratios.keys() - now.ratios.keys(), now.ratios.keys() - then.ratios.keys()
    lines += [f"gone    {name}" for name in sorted(gone)] + [f"new     {name}" for name in sorted(new)]
    passed = not slow and not gone and bool(both)
    lines.append(f"{'PASS' if passed else 'FAIL'}: {len(both)} compared, {len(slow)} slower than {limit:g} x, {len(gone)} gone")
    return lines, passed


def main(latest: str, stored: str, *flags: str) -> int:
    """Exit code."""
    now = read(Path(latest))
    if "--store" in flags:
        Path(stored).write_text(json.dumps(asdict(now), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"stored: {len(now.ratios)} ratios in {stored}")
        return 0
    lines, passed = verdict(now, read(Path(stored)))
    print(*lines, sep="\n")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
