"""What a study found, design by design: means over seeds with intervals, differences from the base, and what it costs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from bench.ablation.designs import FACTORS, SAMPLE_RATE, Design
from bench.ablation.network import network, spec_of
from bench.ablation.study import Study, fair, judge, read
from bench.api import Metric, Suite, UserError
from bench.engine.run import Progress
from bench.records.writer import replace
from bench.statistics import over_seeds
from bench.statistics.bootstrap import Estimate
from bench.throughput import macs

DOMAIN = "speech"
PACKED, ENTROPY = "kbps_packed", "kbps_entropy"
USUAL = ("pesq_wb", "stoi")  # measures of the first suite, where nothing else is asked for


@dataclass(frozen=True)
class Finding:
    """One design. Rates in kbit/s of the codes as packed and as their entropy; `measures` and `changes` (from the base) by column."""

    design: Design
    kbps: float
    kbps_entropy: float
    measures: Mapping[str, Estimate]
    changes: Mapping[str, Estimate]
    values: Mapping[str, Sequence[float]]  # seed by seed
    parameters: int  # of the whole network, codebooks among them
    macs: int  # of encoding a second of audio
    s_per_step: float  # of training, where it was trained


@dataclass(frozen=True)
class Findings:
    """All designs, the base first, and the columns that they were judged by."""

    found: tuple[Finding, ...]
    metrics: tuple[Metric, ...]
    seeds: int
    steps: int
    before: int
    clips: int

    @property
    def base(self) -> Finding:
        """What the others are compared with."""
        return self.found[0]


def find(
    study: Study, suites: Sequence[Suite], steps: tuple[int, int], names: Sequence[str] = (), progress: Progress | None = None
) -> Findings:
    """Judge every model and put together what there is; `names`: the columns wanted (none: the usual ones that no loss aims at)."""
    known = {metric.name: metric for suite in suites for metric in suite.metrics if DOMAIN in metric.rates}
    wanted = chosen(study, suites, known, names)
    table: dict[tuple[Design, str], list[float]] = {}
    for design, _, run in judge(study, suites, progress):
        found = {s.metric: s.mean for s in run.summaries if s.domain == DOMAIN}
        for name in {*wanted, PACKED, ENTROPY} & found.keys():
            table.setdefault((design, name), []).append(found[name])
    base = study.designs[0]
    findings = tuple(_finding(study, design, base, wanted, table) for design in study.designs)
    clips = sum(clip.domain == DOMAIN for clip in study.judged.clips)
    return Findings(findings, tuple(known[name] for name in wanted), len(study.seeds), *steps, clips)


def chosen(study: Study, suites: Sequence[Suite], known: Mapping[str, Metric], names: Sequence[str]) -> list[str]:
    """The columns that designs are judged by. Raises UserError for one that no suite has or that a loss aims at."""
    if lacking := [name for name in names if name not in known]:
        raise UserError(f"no suite of this study has {', '.join(lacking)} of speech: ask for the suite that has it")
    if names:
        if wrong := [name for name in names if name not in fair(study, names)]:
            raise UserError(f"{', '.join(wrong)}: a loss of this study draws to it, so it is no measure here: name another --metric")
        return list(names)
    usual = [name for suite in suites[1:] for name in suite.headline if name in known and known[name].better]
    return fair(study, [*USUAL, *usual])


def _finding(study: Study, design: Design, base: Design, names: Sequence[str], table: Mapping[tuple[Design, str], list[float]]) -> Finding:
    values = {name: table[design, name] for name in names}
    seconds = [read(study.folder(design, seed) / "model.json", "s_per_step")["s_per_step"] for seed in study.seeds]
    parameters, products = cost(design)
    return Finding(
        design,
        over_seeds.mean(table[design, PACKED]).value,
        over_seeds.mean(table[design, ENTROPY]).value,
        {name: over_seeds.mean(values[name]) for name in names},
        {name: over_seeds.difference(values[name], table[base, name]) for name in names},
        values,
        parameters,
        products,
        sorted(seconds)[len(seconds) // 2],
    )


@torch.inference_mode()
def cost(design: Design) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of encoding one second of audio (bench.throughput.macs)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = network(design, spec_of(design, 0, "seed:0")).eval()
        wav = torch.randn(1, 1, SAMPLE_RATE)
    return macs.parameters(model), macs.macs(partial(model.encode, wav))


def lines(findings: Findings) -> list[dict[str, object]]:
    """One line a design, as plain values; an interval that there is none of is empty."""
    made = []
    for one in findings.found:
        line: dict[str, object] = {"name": one.design.name, **asdict(one.design), "seeds": findings.seeds, "steps": findings.steps}
        line |= {PACKED: one.kbps, ENTROPY: one.kbps_entropy}
        for name in one.measures:
            mean, change = one.measures[name], one.changes[name]
            line |= {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
            line |= {f"{name}_change": change.value, f"{name}_change_low": change.low, f"{name}_change_high": change.high}
        made.append(line | {"parameters": one.parameters, "encode_macs_per_s": one.macs, "train_s_per_step": one.s_per_step})
    return made


def write_csv(findings: Findings, path: Path) -> None:
    """The lines, plain numbers with all their digits."""
    out = io.StringIO()
    table = lines(findings)
    writer = csv.DictWriter(out, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value != value else value for key, value in line.items()} for line in table)
    replace(path, out.getvalue())


def factors(findings: Findings) -> list[str]:
    """Those that vary."""
    return [name for name in FACTORS if len({getattr(one.design, name) for one in findings.found}) > 1]
