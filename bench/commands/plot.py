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
  bench plot speed mimi encodec --out speed
  bench plot training run/ other_run/ --metric mel            what bench train has logged so far"""


def add(verbs: Verbs) -> None:
    """Its words."""
    about = "plot runs: quality against bitrate, speed against batch size, curves of trainings; PNG and SVG"
    verb = arguments.verb(verbs, "plot", plot, about, EXAMPLES)
    verb.add_argument("what", choices=("quality", "speed", "training"), help="quality by bitrate, speed by batch, losses by step")
    about = "mimi (default variant), mimi@24khz, 'opus@*', a,b, or the folder of a run; of training, the --out of bench train"
    verb.add_argument("run", nargs="+", metavar="NAME", help=about)
    about = "one panel each: of quality, metrics (default: pesq_wb); of training, curves (default: mel or loss, held-out scores)"
    verb.add_argument("--metric", metavar="A,B,...", help=about)
    verb.add_argument("--domain", choices=DOMAINS, default="speech", help="domain of the clips (default: speech)")
    verb.add_argument("--suite", metavar="NAME", help="suite of the runs (default: reconstruction; throughput for speed)")
    arguments.results(verb)
    arguments.choice(verb)
    arguments.verbosity(verb)
    verb.add_argument("--out", type=Path, metavar="PATH", help="output file without suffix (default: quality, speed or training)")


def plot(options: argparse.Namespace) -> int:
    """bench plot"""
    if find_spec("matplotlib") is None:
        raise UserError("bench plot needs matplotlib: pip install 'audio-tokenizer-bench[plot]'")
    if options.what == "training":
        return _training(options)
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
        chosen = _words("pesq_wb" if options.metric is None else options.metric)
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


def _training(options: argparse.Namespace) -> int:
    """The curves of trainings, as far as they are."""
    from bench.plot import paper, training

    figure = training.figure([Path(name) for name in options.run], _words(options.metric or ""))
    for path in paper.save(figure, options.out or Path("training")):
        print(path)
    return 0


def _words(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
