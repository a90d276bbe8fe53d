"""bench list, bench show, bench check: list tokenizers, suites, metrics and data, and test a tokenizer's interface."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands import arguments
from bench.commands.arguments import console
from bench.records.devices import device_of

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs


LIST = """examples:
  bench list tokenizers
  bench list data"""
SHOW = """examples:
  bench show mimi
  bench show kyutai/mimi"""
CHECK = """examples:
  bench check ./my_codec.py
  bench check 'opus@*'"""


def add(verbs: Verbs) -> None:
    """Their words."""
    verb = arguments.verb(verbs, "list", list_, "list tokenizers, suites, metrics or data sets", LIST)
    verb.add_argument("what", choices=("tokenizers", "suites", "metrics", "data"))

    verb = arguments.verb(verbs, "show", show, "show details of one tokenizer: rates, token budget, weights, licence, source, speed", SHOW)
    verb.add_argument("tokenizer", help="mimi (its default variant), mimi@24khz, kyutai/mimi (hub id) or ./my_codec.py")
    arguments.results(verb)

    verb = arguments.verb(verbs, "check", check, "test that a tokenizer conforms to the interface; exit code 1 where it does not", CHECK)
    verb.add_argument(
        "tokenizer", nargs="+", help="mimi (its default variant), mimi@24khz, 'mimi@*', kyutai/mimi (hub id) or ./my_codec.py"
    )
    arguments.device(verb)
    verb.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    verb.add_argument("--weights", type=Path, metavar="FILE", help="your own checkpoint for the one tokenizer named")


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
    from bench.catalog import names

    names.tokenizer(options.tokenizer)
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
    from bench.catalog import names
    from bench.records.devices import refuse_word

    names.tokenizers(options.tokenizer)
    refuse_word(options.device)
    from bench import registry
    from bench.conformance.rules import check as contract
    from bench.plugins.streams import stdout_to_stderr

    device, failed = device_of(options.device), 0
    for variant in registry.variants_of(options.tokenizer, options.weights):
        with stdout_to_stderr():
            findings = contract(variant, partial(registry.load_tokenizer, variant, device), device, options.seed)
        for finding in findings:
            print(f"{variant.spec.label}  {finding.outcome:<4}  {finding.name}: {finding.detail}")
        failed += sum(finding.outcome == "fail" for finding in findings)
    return 1 if failed else 0
