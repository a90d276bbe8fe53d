"""bench list, bench show, bench check: what there is, and whether it keeps the contract."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.arguments import console, device_of, variants_of

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs


def add(verbs: Verbs) -> None:
    """Their words."""
    verb = verbs.add_parser("list", help="what there is: tokenizers, suites, metrics or data")
    verb.set_defaults(verb=list_)
    verb.add_argument("what", choices=("tokenizers", "suites", "metrics", "data"))

    verb = verbs.add_parser("show", help="the facts of one tokenizer: rates, token budget, weights, licence, source, speed")
    verb.set_defaults(verb=show)
    verb.add_argument("tokenizer")
    verb.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="where its speed was kept (default: results)")

    verb = verbs.add_parser("check", help="does a tokenizer keep the contract? exit code 1 if not")
    verb.set_defaults(verb=check)
    verb.add_argument("tokenizer", nargs="+")
    verb.add_argument("--device", default="auto", help="cpu, cuda, ... (default: auto)")
    verb.add_argument("--seed", type=int, default=0)
    verb.add_argument("--weights", type=Path, metavar="FILE", help="a checkpoint of your own for the one tokenizer named")


def list_(options: argparse.Namespace) -> int:
    """bench list"""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bench.report import describe

    header, lines = describe.TABLES[options.what]()
    table = Table(*header, box=box.SIMPLE_HEAD, pad_edge=False)
    for line in lines:
        table.add_row(*map(Text, line))
    console().print(table)
    return 0


def show(options: argparse.Namespace) -> int:
    """bench show"""
    from bench import registry
    from bench.report import describe

    variant = registry.variant(options.tokenizer)
    facts = describe.facts(variant) | describe.speed(variant, options.results)
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return 0


def check(options: argparse.Namespace) -> int:
    """bench check"""
    from bench import registry
    from bench.conformance.rules import check as contract
    from bench.plugins.streams import stdout_to_stderr

    device, failed = device_of(options.device), 0
    for variant in variants_of(options.tokenizer, options.weights):
        with stdout_to_stderr():
            findings = contract(variant, partial(registry.load_tokenizer, variant, device), device, options.seed)
        for finding in findings:
            print(f"{variant.spec.label}  {finding.outcome:<4}  {finding.name}: {finding.detail}")
        failed += sum(finding.outcome == "fail" for finding in findings)
    return 1 if failed else 0
