"""bench listening: blind tests by ITU-R BS.1534 (MUSHRA)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import console

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs
    from bench.records.reader import Kept

EXAMPLES = """examples:
  bench run --tokenizer 'opus@*',mimi --save-audio audio
  bench listening make 'opus@*' mimi --audio audio --out test      then give listeners the folder test/listeners
  bench listening analyse answers/*.csv --test test                who is counted, means, tests, correlation with metrics
  bench listening fetch stahl2024 --out listened                   audio and ratings of a test that others made
  bench listening correlate listened/ratings.csv                   every column of the runs of that audio against people"""
FORMATS = ("table", "markdown", "csv", "json")


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "listening", listening, "blind listening tests (MUSHRA): make one, analyse its answers", EXAMPLES)
    verb.add_argument(
        "what",
        choices=("make", "analyse", "fetch", "correlate"),
        help="write a test, read its answers, or compare scores with what others rated",
    )
    verb.add_argument(
        "operand",
        nargs="+",
        metavar="NAME",
        help="make: mimi, 'opus@*', a,b or run folders; analyse: CSV files of answers; fetch: a test; correlate: a CSV file of ratings",
    )
    make = verb.add_argument_group("make")
    make.add_argument("--audio", type=Path, metavar="DIR", help="audio of the runs, as bench run --save-audio wrote it")
    make.add_argument("--out", type=Path, metavar="DIR", help="a new folder; of make: DIR/listeners for them, DIR/key.json for you")
    make.add_argument("--clips", metavar="A,B,...", default="", help="these clips (default: --count of them, spread by score)")
    make.add_argument("--count", type=arguments.positive, default=8, metavar="N", help="how many clips where none is named (default: 8)")
    make.add_argument("--by", default="", metavar="METRIC", help="score that clips are spread by (default: pesq_wb, of music mel_dac)")
    make.add_argument("--anchors", default="3500,7000", metavar="HZ,...", help="low-pass anchors (default: 3500,7000); '' for none")
    make.add_argument("--seed", type=int, default=0, metavar="N", help="of the order of trials and sounds (default: 0)")
    make.add_argument("--title", default="Listening test", help="what listeners read at the top")
    make.add_argument("--suite", default="reconstruction", metavar="NAME", help="suite of the runs (default: reconstruction)")
    arguments.results(make)
    arguments.choice(make)
    analyse = verb.add_argument_group("analyse")
    analyse.add_argument("--test", type=Path, metavar="DIR", help="the folder that make wrote")
    analyse.add_argument("--no-screening", action="store_true", help="count listeners whom BS.1534-3 excludes, too")
    analyse.add_argument("--format", choices=FORMATS, default="table", help="of what is printed (default: table)")
    arguments.verbosity(verb)


def listening(options: argparse.Namespace) -> int:
    """bench listening"""
    return {"make": _make, "analyse": _analyse, "fetch": _fetch, "correlate": _correlate}[options.what](options)


def _make(options: argparse.Namespace) -> int:
    if options.audio is None or options.out is None:
        raise UserError("bench listening make needs --audio DIR (what bench run --save-audio wrote) and --out DIR")
    from bench.listening.blind_test import Plan, make
    from bench.records.choose import choose

    choice = choose(options.operand, options.results, options.suite, arguments.wish(options))
    audio = saved_audio(choice.runs, options.audio, options.data)
    heard = [clip for clip in _common(audio) if all(not _failed(run, clip) for run in choice.runs)]
    clips = arguments.words(options.clips) or _spread(choice.runs, heard, options.count, options.by)
    if lacking := [clip for clip in clips if clip not in heard]:
        raise UserError(f"{lacking[0]} is not saved of every run in {options.audio}: bench run --save-audio {options.audio} with each")
    plan = Plan(options.title, options.seed, clips, _anchors(options.anchors))
    for line in [*filter(None, choice.notes or [choice.data]), *make(choice.runs, audio, plan, options.out)]:
        arguments.note(options, line)
    print(f"{options.out}/listeners: {len(clips)} trials; open index.html there, or serve the folder")
    print(f"{options.out}/key.json: keep it from listeners; bench listening analyse ANSWERS.csv --test {options.out}")
    return 0


def saved_audio(runs: list[Kept], root: Path, source: str | None) -> dict:
    """Label -> its files, of the very runs. UserError where the data of a run is not to be had."""
    from bench.data.manifests import partners
    from bench.records.saved_audio import saved

    found = {}
    for run in runs:
        data = data_of_run(run, source)
        found[run.label] = saved(root, run.identity, data.clips, partners(data.clips) if run.tokenizer.get("shuffled") else None)
    return found


def data_of_run(run: Kept, source: str | None):
    """The data that a run was made with."""
    from bench.api import DOMAINS
    from bench.catalog import index
    from bench.data.manifests import data_of

    name = source or run.record["data_name"]
    domains = index.suite(run.suite).domains if run.suite in index.stems("tasks") else DOMAINS
    data = data_of(name, run.record["clips"], domains, run.identity["seed"])
    if data.sha256 != run.identity["data"]:
        raise UserError(f"{name} is not the data of {run.where} (sha256 {data.sha256[:8]}, not {run.identity['data'][:8]}): give --data")
    return data


def _common(audio: dict) -> list[str]:
    """The clips that every run has."""
    first, *rest = audio.values()
    return [clip for clip in first.clips if all(clip in other.clips for other in rest)]


def _failed(run: Kept, clip: str) -> bool:
    from bench.records.writer import failed_clips

    return clip in failed_clips(row for row in run.rows if row.clip == clip)


def _spread(runs: list[Kept], heard: list[str], count: int, by: str) -> list[str]:
    """So many clips at even steps from the worst to the best of each domain, by the mean of a score over the runs."""
    from bench.api import DOMAINS
    from bench.listening.picks import ordered, score_of

    orders = {}
    for domain in DOMAINS:
        metric = score_of(runs[0], domain, by)
        orders[domain] = [clip for clip, _ in ordered(runs, domain, metric.name) if clip in heard] if metric else []
    total = sum(map(len, orders.values()))
    chosen: list[str] = []
    for order in orders.values():
        wanted = min(len(order), round(count * len(order) / total)) if total else 0
        chosen += [order[round(i * (len(order) - 1) / max(1, wanted - 1))] for i in range(wanted)]
    return list(dict.fromkeys(chosen))


def _anchors(words: str) -> list[int]:
    found = arguments.words(words)
    if wrong := [word for word in found if not word.isdigit() or not 100 <= int(word) <= 20_000]:
        raise UserError(f"--anchors: {wrong[0]!r} is no frequency in Hz from 100 to 20000: write as 3500,7000")
    return sorted(map(int, found))


def _analyse(options: argparse.Namespace) -> int:
    if options.test is None:
        raise UserError("bench listening analyse needs --test DIR, the folder that bench listening make wrote")
    from bench.listening import answers, told
    from bench.listening.analysis import analyse
    from bench.report import formats

    key = answers.read_key(options.test)
    found = analyse(answers.read([Path(word) for word in options.operand], key), not options.no_screening)
    if not found.answers.listeners:
        raise UserError("no listener is left: none rated the hidden reference as BS.1534-3 asks (--no-screening counts them all)")
    below = told.notes(found)
    if options.format == "csv":
        told.to_csv(found, sys.stdout)
    elif options.format == "json":
        told.to_json(found, below, sys.stdout)
    elif options.format == "markdown":
        formats.to_markdown(told.grids(found), below, sys.stdout, 2)
    else:
        formats.to_terminal(told.grids(found), below, console(), 2)
    sys.stdout.flush()
    return 0


def _fetch(options: argparse.Namespace) -> int:
    if options.out is None or len(options.operand) != 1:
        raise UserError("bench listening fetch needs the name of one test, and --out DIR")
    from bench.listening import rated

    test = rated.test_of(options.operand[0])
    arguments.note(options, f"{test.name}: {test.about}. Licence: {test.licence}")
    for line in rated.fetch(test, options.out):
        arguments.note(options, line)
    sides = " ".join(f"--est {options.out / name}" for name in test.tokenizers)
    print(f"bench score --ref {options.out / rated.ORIGINALS / 'manifest.jsonl'} {sides} --suite reconstruction,quality")
    print(f"bench listening correlate {options.out / rated.RATINGS}")
    return 0


def _correlate(options: argparse.Namespace) -> int:
    if len(options.operand) != 1:
        raise UserError("bench listening correlate needs one CSV file with the columns tokenizer, clip and rating")
    if options.format not in ("table", "markdown"):
        raise UserError(f"bench listening correlate prints no {options.format}: --format table or markdown")
    from bench.listening import people, rated
    from bench.records import reader
    from bench.report import formats

    ratings = rated.ratings(Path(options.operand[0]))
    names = {name for name, _ in ratings}
    runs = [reader.read(folder) for folder in reader.folders(options.results)]
    of_test = [run for run in runs if {run.label, run.tokenizer["name"]} & names and not run.unfinished]
    found = people.agreements(of_test, ratings)
    if not found:
        raise UserError(
            f"no finished run in {options.results} has enough scores of what {options.operand[0]} rates: bench score makes them"
        )
    below = [f"no run of {formats.few(without)}"] if (without := sorted(names - {people.rated_as(run, ratings) for run in of_test})) else []
    if options.format == "markdown":
        formats.to_markdown(people.grids(found), below, sys.stdout)
    else:
        formats.to_terminal(people.grids(found), below, console())
    sys.stdout.flush()
    return 0
