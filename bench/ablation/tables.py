"""Findings as a table for people: one line a design, means with their intervals over seeds, and the base above a rule."""

from __future__ import annotations

from dataclasses import replace

from bench.ablation.findings import Finding, Findings, factors
from bench.api import Metric
from bench.report.formats import Grid, cell, change, title
from bench.statistics.bootstrap import Estimate, Summary


def grid(findings: Findings) -> Grid:
    """Names, bits, measures, differences from the base, cost."""
    header = ["design", "kbit/s", "entropy"]
    for metric in findings.metrics:
        header += [title(metric), "- base"]
    header += ["parameters", "encode GMAC/s", "s/step"]
    body = [_line(one, findings) for one in findings.found]
    return caption(findings), header, [body[0], [], *body[1:]]


def caption(findings: Findings) -> str:
    """What all lines share."""
    budget = f"{findings.before} steps without codes and {findings.steps} with, {findings.seeds} seeds, {findings.clips} clips of speech"
    return f"{', '.join(factors(findings)) or 'one design'}: {budget}"


def notes(findings: Findings) -> list[str]:
    """How to read it."""
    few = "one seed: no intervals" if findings.seeds < 2 else f"[low, high]: 95 % over {findings.seeds} seeds (Student's t), not over clips"
    what = "; '- base': paired by seed, against the first line" if len(findings.found) > 1 else ""
    return [few + what, "measures that a loss of the study draws to are left out"]


def _line(one: Finding, findings: Findings) -> list[str]:
    found = [one.design.name, f"{one.kbps:.2f}", f"{one.kbps_entropy:.2f}"]
    for metric in findings.metrics:
        found += [_mean(one.measures[metric.name], metric), "" if one is findings.base else change(one.changes[metric.name], _fine(metric))]
    return [*found, f"{one.parameters / 1e6:.2f} M", f"{one.macs / 1e9:.3f}", f"{one.s_per_step:.2f}"]


def _mean(estimate: Estimate, metric: Metric) -> str:
    return cell(Summary("speech", metric.name, estimate.value, estimate.low, estimate.high, 0, 0), _fine(metric))


def _fine(metric: Metric) -> Metric:
    """With a decimal more than runs of one tokenizer have: small steps are what a study looks at."""
    return replace(metric, tolerance=metric.tolerance / 10) if metric.tolerance > 0.002 else metric
