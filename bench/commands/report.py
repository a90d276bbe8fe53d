"""bench report: a folder of pages about some runs, to look at and to send."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.listening import data_of_run, saved_audio
from bench.commands.table import left_out, named_runs

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.listening.page import Shown
    from bench.records.reader import Kept

EXAMPLES = """examples:
  bench report my_codec 'opus@*' --out report                  tables, plots, failures, record of what ran
  bench report my_codec 'opus@*' --audio audio --out report    with the worst clips to hear, as --save-audio kept them
  bench report mimi 'opus@*' --remake --out report             the same without saved audio: the clips are coded again"""


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(
        verbs, "report", report, "a folder of pages about runs: tables, plots, worst clips to hear, failures, record", EXAMPLES
    )
    verb.add_argument("run", nargs="+", metavar="NAME", help="mimi, 'opus@*', a,b, or folders of runs")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder; an older report there is replaced")
    verb.add_argument("--suite", default="", metavar="A,B,...", help="only these suites (default: all that have runs)")
    arguments.results(verb)
    verb.add_argument("--data", metavar="DATA", help="runs on this data: its name, manifest or folder (default: what most have in common)")
    verb.add_argument("--audio", type=Path, metavar="DIR", help="audio of the runs, as bench run --save-audio wrote it")
    verb.add_argument("--remake", action="store_true", help="code the clips that are to be heard again, where no audio was saved")
    verb.add_argument(
        "--clips", type=arguments.positive, default=6, metavar="N", help="clips of speech to hear, half as many others (default: 6)"
    )
    verb.add_argument(
        "--by", default="", metavar="METRIC", help="score that the worst clips are found by (default: pesq_wb, mel_dac of others)"
    )
    verb.add_argument("--title", default="Report", help="at the top of the first page")
    arguments.verbosity(verb)


def report(options: argparse.Namespace) -> int:
    """bench report"""
    if options.audio and options.remake:
        raise UserError("--audio and --remake cannot be used together: the one is heard, the other is made again")
    from bench.leaderboard import run_report
    from bench.records.selection import alike

    run_report.refuse(options.out)
    found = [run for run in named_runs(options) if options.data is None or _on(run, options.data)]
    runs = alike(found)
    if not runs:
        raise UserError(f"no complete run in {options.results}: resume it with bench run, or choose with --results, --suite or --data")
    listen = partial(_listen, options, runs) if options.audio or options.remake else None
    notes = run_report.write(runs, options.out, options.title, listen)
    for line in [*left_out(found, runs), *notes]:
        arguments.note(options, line)
    print(f"{options.out}/index.html")
    return 0


def _on(run: Kept, data: str) -> bool:
    """Whether a run was made on data of that name, or of that manifest or folder."""
    if run.record["data_name"] == data:
        return True
    if not Path(data).exists():
        return False
    try:
        return bool(data_of_run(run, data))
    except UserError:  # other data
        return False


def _listen(options: argparse.Namespace, runs: list[Kept], out: Path) -> tuple[list[Shown], list[str]]:
    """The clips of the first suite whose runs give audio back."""
    from bench.listening import samples

    first = [run for run in runs if run.suite == runs[0].suite and run.tokenizer["decodes"]]
    if not first:
        raise UserError(f"no tokenizer of {runs[0].suite} gives audio back: leave --audio and --remake out")
    chosen = samples.usual(first, options.clips, options.by)
    data = data_of_run(first[0], options.data)
    if options.remake:
        return samples.remade(out, first, chosen, data)
    audio = saved_audio(first, options.audio, options.data)
    silent = [f"no saved audio of {label} in {options.audio}" for label, files in audio.items() if not files.clips]
    return samples.from_saved(out, first, audio, chosen, data), silent
