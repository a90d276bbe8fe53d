"""bench plot: plot runs."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import DOMAINS, UserError
from bench.commands import arguments

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs


EXAMPLES = """examples:
  bench plot quality 'encodec@*' 'mimi@*' 'opus@*' identity
  bench plot speed mimi encodec --out speed"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "plot", plot, "plot runs: quality against bitrate, speed against batch size; PNG and SVG", EXAMPLES)
    verb.add_argument("what", choices=("quality", "speed"), help="quality against bitrate, or speed against batch")
    verb.add_argument("run", nargs="+", metavar="NAME", help="mimi (default variant), mimi@24khz, 'opus@*', a,b, or the folder of a run")
    verb.add_argument("--metric", default="pesq_wb", metavar="A,B,...", help="quality metrics, one panel per metric (default: pesq_wb)")
    verb.add_argument("--domain", choices=DOMAINS, default="speech", help="domain of the clips (default: speech)")
    verb.add_argument("--suite", metavar="NAME", help="suite of the runs (default: reconstruction; throughput for speed)")
    arguments.results(verb)
    arguments.choice(verb)
    arguments.verbosity(verb)
    verb.add_argument("--out", type=Path, metavar="PATH", help="output file without suffix (default: quality or speed)")


def plot(options: argparse.Namespace) -> int:
    """bench plot"""
    if find_spec("matplotlib") is None:
        raise UserError("bench plot needs matplotlib: pip install 'audio-tokenizer-bench[plot]'")
    from bench.compare.ladders import usable
    from bench.plot import paper, quality, speed
    from bench.records.choose import choose

    suite = options.suite or {"quality": "reconstruction", "speed": "throughput"}[options.what]
    choice = choose(options.run, options.results, suite, arguments.wish(options))
    runs = choice.runs
    if options.what == "speed":
        figure = speed.figure(runs)
    else:
        from bench.catalog import names

        known = usable(list(runs[0].metrics.values()))
        chosen = [name.strip() for name in options.metric.split(",") if name.strip()]
        for name in chosen:
            if name not in known:
                raise names.unknown("metric of quality", name, known)
        if not chosen:
            raise UserError("--metric names no metric: write as --metric pesq_wb,stoi")
        figure = quality.figure(runs, [runs[0].metrics[name] for name in chosen], options.domain)
    for line in filter(None, choice.notes or [choice.data]):
        arguments.note(options, line)
    for path in paper.save(figure, options.out or Path(options.what)):
        print(path)
    return 0
