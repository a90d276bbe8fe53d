"""bench list, bench show, bench check: list tokenizers, suites, metrics and data, and test a tokenizer's interface."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import console
from bench.records.devices import device_of

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs


LIST = """examples:
  bench list tokenizers
  bench list tokenizers mimi                 those whose name has it
  bench list tokenizers --available --json   those that need no download, as JSON
  bench list metrics wer"""
SHOW = """examples:
  bench show mimi
  bench show kyutai/mimi --json"""
CHECK = """examples:
  bench check ./my_codec.py
  bench check 'opus@*'"""


def add(verbs: Verbs) -> None:
    """Their words."""
    verb = arguments.verb(verbs, "list", list_, "list tokenizers, suites, metrics or data sets", LIST)
    verb.add_argument("what", choices=("tokenizers", "suites", "metrics", "data"))
    verb.add_argument("filter", nargs="*", help="only names that have one of these in them, match 'opus@*' or are a hub id")
    verb.add_argument("--available", action="store_true", help="only what needs no download and no further package")
    verb.add_argument("--json", action="store_true", help="as JSON")

    verb = arguments.verb(verbs, "show", show, "show details of one tokenizer: rates, token budget, weights, licence, source, speed", SHOW)
    verb.add_argument("tokenizer", help="mimi (its default variant), mimi@24khz, kyutai/mimi (hub id) or ./my_codec.py")
    arguments.results(verb)
    verb.add_argument("--json", action="store_true", help="as JSON, with plain numbers")

    verb = arguments.verb(verbs, "check", check, "test that a tokenizer conforms to the interface; exit code 1 where it does not", CHECK)
    verb.add_argument(
        "tokenizer", nargs="+", help="mimi (its default variant), mimi@24khz, 'mimi@*', kyutai/mimi (hub id) or ./my_codec.py"
    )
    arguments.device(verb)
    arguments.licence(verb)
    verb.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    verb.add_argument("--weights", type=Path, metavar="FILE", help="your own checkpoint for the one tokenizer named")
    verb.add_argument("--untrained", action="store_true", help="with random weights, as before training: trained ones are not looked for")


def list_(options: argparse.Namespace) -> int:
    """bench list"""
    from bench.catalog import names
    from bench.report import describe, formats

    header, lines = describe.TABLES[options.what]()
    if options.available:
        ready = describe.available(options.what)
        lines = [line for line in lines if line[0] in ready]
    known = list(dict.fromkeys(line[0] for line in lines))
    for word in options.filter:
        if not any(_has(line[0], word) for line in lines):
            raise UserError(
                f"no {options.what} with {word!r} in their names{names.nearest(word, known)} bench list {options.what} lists all"
            )
    lines = [line for line in lines if not options.filter or any(_has(line[0], word) for word in options.filter)]
    if options.json:
        numbers = {variant.spec.label: describe.numbers(variant) for variant in describe.variants()} if options.what == "tokenizers" else {}
        _print_json([numbers.get(line[0]) or dict(zip(header, line, strict=True)) for line in lines])
    else:
        formats.listing(header, lines, console())
    return 0


def _has(name: str, word: str) -> bool:
    """Whether a name is meant by a word of the filter."""
    from bench.catalog import names

    if names.is_pattern(word):
        return names.matches(word, name)
    return word.casefold() in name.casefold() or ("/" in word and names.hub_ids().get(word) == name)


def _print_json(facts: object) -> None:
    import json

    json.dump(facts, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    print()


def show(options: argparse.Namespace) -> int:
    """bench show"""
    from bench.catalog import names
    from bench.report import describe

    if names.FILE.fullmatch(options.tokenizer):
        from bench import registry

        variant = registry.variant(options.tokenizer)
    else:
        variant = names.variant(options.tokenizer)
    facts = describe.facts(variant) | describe.speed(variant, options.results)
    if options.json:
        _print_json({**describe.numbers(variant), "facts": facts})
        return 0
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
    if options.untrained and options.weights:
        raise UserError("--untrained and --weights cannot be used together")
    for variant in registry.variants_of(options.tokenizer, options.weights):
        variant = registry.untrained(variant, options.seed) if options.untrained else variant
        with stdout_to_stderr():
            findings = contract(variant, partial(registry.load_tokenizer, variant, device), device, options.seed)
        for finding in findings:
            print(f"{variant.spec.label}  {finding.outcome:<4}  {finding.name}: {finding.detail}")
        failed += sum(finding.outcome == "fail" for finding in findings)
    return 1 if failed else 0
