"""bench ablate: controlled experiments on small codecs, trained alike but for what is varied."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands import arguments
from bench.commands.arguments import clips, positive, words
from bench.commands.progress import progress

if TYPE_CHECKING:
    from bench.ablation.findings import Findings
    from bench.commands.arguments import Verbs


EXAMPLES = """examples:
  bench ablate --data recordings/ --out levels/ --vary levels=1,2,4,8 --vary size=64,256,1024
  bench ablate --data recordings/ --out kinds/ --vary quantizer --base levels=4 --budget 90 --quality-model distill_mos
  bench ablate --data recordings/ --out losses/ --vary losses --vary discriminator=none,stft --steps 300 --seeds 5"""


def add(verbs: Verbs) -> None:
    """Its words."""
    about = (
        "controlled experiments: one network, data, budget and set of seeds; vary quantizer, levels, codebook size, losses, ...; resumable"
    )
    verb = arguments.verb(verbs, "ablate", ablate, about, EXAMPLES)
    verb.add_argument("--data", required=True, metavar="DATA", help="training data: a set's name (bench data list), a manifest or a folder")
    arguments.data_root(verb)
    verb.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="output folder of models, rows, table and plots; a stopped study goes on there",
    )
    verb.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="FACTOR[=A,B,...]",
        help="quantizer, levels, size, rate, losses or discriminator; alone: its usual values; may be repeated (default: levels and size)",
    )
    verb.add_argument(
        "--base", action="append", default=[], metavar="FACTOR=VALUE", help="what stays; may be repeated (default: rvq-4x256)"
    )
    verb.add_argument("--grid", action="store_true", help="all combinations of what is varied (default: one factor at a time)")
    verb.add_argument("--seeds", type=positive, default=3, metavar="N", help="trainings of each design (default: 3)")
    verb.add_argument(
        "--budget", type=minutes, default=60.0, metavar="MIN", help="minutes on this machine, about, for all models (default: 60)"
    )
    verb.add_argument("--steps", type=positive, metavar="N", help="steps with codes of every model, instead of --budget")
    verb.add_argument("--eval", dest="judged", default="mini", metavar="DATA", help="data to judge with, none of --data (default: mini)")
    verb.add_argument("--limit", type=clips, default=12, metavar="N", help="clips of speech to judge with (default: 12)")
    verb.add_argument(
        "--metric", default="", metavar="A,B,...", help="measures that no loss aims at (default: pesq_wb, stoi and what is asked)"
    )
    verb.add_argument("--quality-model", default="", metavar="NAME", help="also judge with these predictors of quality, as distill_mos")
    verb.add_argument("--asr-model", default="", metavar="NAME", help="also judge with this ASR model, as the suite asr knows it")
    arguments.device(verb)
    arguments.licence(verb)
    arguments.verbosity(verb)


def minutes(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be minutes above 0, not {text!r}")
    return value


def ablate(options: argparse.Namespace) -> int:
    """bench ablate"""
    from bench.ablation import designs

    o = options
    designs.varied(designs.parsed(o.base), o.vary or ["levels", "size"], o.grid)  # a wrong word is told at once
    from bench.ablation import tables
    from bench.python.ablation import VARIED
    from bench.python.ablation import ablate as study
    from bench.report.formats import fitted, to_markdown, to_terminal

    with progress(options) as report:
        found = study(
            o.data,
            o.out,
            vary=o.vary or VARIED,
            base=o.base,
            grid=o.grid,
            eval_data=o.judged,
            limit=o.limit,
            seeds=o.seeds,
            steps=o.steps,
            budget=o.budget,
            metrics=words(o.metric),
            quality_model=o.quality_model,
            asr_model=o.asr_model,
            device=o.device,
            say=lambda line: arguments.note(options, line),
            progress=report,
        )
    grid, notes, console = tables.grid(found), tables.notes(found), arguments.console()
    to_terminal(fitted(grid, console.width), notes, console)
    with (o.out / "table.md").open("w", encoding="utf-8") as file:
        to_markdown([grid], notes, file)
    print(o.out / "table.csv")
    print(o.out / "table.md")
    for path in _plots(found, o.out):
        print(path)
    return 0


def _plots(found: Findings, out: Path) -> list[Path]:
    if find_spec("matplotlib") is None:
        print("no plots: they need matplotlib: pip install 'audio-tokenizer-bench[plot]'", file=sys.stderr)
        return []
    from bench.plot import ablation, paper

    paths = paper.save(ablation.quality(found), out / "quality")
    figure = ablation.sizes(found)
    return paths + (paper.save(figure, out / "sizes") if figure else [])
