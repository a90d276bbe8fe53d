"""What commands share: words of the command line -> things, and where their answers are shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from bench.data.subsets import Limit
    from bench.records.choose import Wish
    from bench.records.shards import Shard

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]
    Place = argparse._ActionsContainer  # a parser or one of its groups

QUIET, USUAL, DETAILED = -1, 0, 1


def verb(verbs: Verbs, name: str, act: Callable[[argparse.Namespace], int], about: str, examples: str = "") -> argparse.ArgumentParser:
    """A command that is done by `act`; `examples` end its help."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser(name, help=about, description=about, epilog=examples, formatter_class=layout, allow_abbrev=False)
    parser.set_defaults(verb=act)
    return parser


def tokenizers(place: Place, flag: str, required: bool = False, about: str = "") -> None:
    """Names as `bench.catalog.names` understands them."""
    told = "mimi (its default variant), mimi@24khz, 'mimi@*' (all), a,b (several), kyutai/mimi (hub id) or ./my_codec.py; may be repeated"
    place.add_argument(flag, action="append", default=[], required=required, metavar="NAME", help=f"{about}{told}")


def device(place: Place) -> None:
    """Where a model runs."""
    place.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:N or mps (default: auto, cuda where there is one)")


def licence(place: Place) -> None:
    """Licences that forbid some use and that the user accepts, for weights and data that are downloaded."""
    place.add_argument(
        "--accept-licence",
        action=_Accept,
        metavar="NAME",
        help="download weights or data under a licence that forbids some use, as CC-BY-NC-4.0 (`bench list` names them); may be repeated",
    )


class _Accept(argparse.Action):
    """Accepts at once, for this process and those that it starts."""

    def __call__(self, parser: object, options: object, values: object, flag: object = None) -> None:
        from bench.weights.licences import accept

        accept(words(str(values)))


def data_root(place: Place) -> None:
    """Folders where copies of data sets are looked for first."""
    place.add_argument(
        "--data-root",
        action=_Root,
        metavar="DIR",
        help="a folder with copies of public data sets, unpacked or as archives, that comes before any download; may be repeated",
    )


class _Root(argparse.Action):
    """Is in force at once, for this process and those that it starts."""

    def __call__(self, parser: object, options: object, values: object, flag: object = None) -> None:
        from bench.data.roots import add

        add(Path(str(values)))


def results(place: Place) -> None:
    """Where runs are kept."""
    place.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="folder of the runs (default: results)")


def choice(place: Place) -> None:
    """Which of several runs of a tokenizer is meant."""
    place.add_argument("--data", metavar="DATA", help="runs on this data: its name, manifest or folder (default: what all have in common)")
    place.add_argument("--limit", type=positive, metavar="N", help="runs of N clips")
    place.add_argument(
        "--run", dest="runs", action="append", default=[], type=Path, metavar="DIR", help="this run of its tokenizer; may be repeated"
    )


def wish(options: argparse.Namespace) -> Wish:
    """What `choice` has read."""
    from bench.records.choose import Wish

    return Wish(options.data or "", options.limit, tuple(options.runs))


def verbosity(place: Place) -> None:
    """How much is said on the way; `options.verbosity`."""
    place.add_argument(
        "-q",
        "--quiet",
        dest="verbosity",
        action="store_const",
        const=QUIET,
        default=USUAL,
        help="print only results and errors",
    )
    place.add_argument("-v", "--verbose", dest="verbosity", action="store_const", const=DETAILED, help="also print details and timings")


def note(options: argparse.Namespace, text: str, level: int = USUAL) -> None:
    """A line on stderr, unless the user asked for less."""
    if options.verbosity >= level:
        terminal.say(text)


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def clips(text: str) -> Limit:
    """--limit: a number of clips, or a share of them as 10%."""
    from bench.data.subsets import limit_of

    try:
        return limit_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def shard(text: str) -> Shard:
    """--shard: i/n."""
    from bench.records.shards import shard_of

    try:
        return shard_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def words(text: str) -> list[str]:
    """The parts of a comma list."""
    return [word.strip() for word in text.split(",") if word.strip()]


def console() -> Console:
    """Where tables are printed."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for the end of the command to tell: rich would end it here with 1

    # a pipe has no width of its own: one that holds a line of figures
    return Output(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)


def version() -> str:
    """Of this package, also in a checkout that was not installed."""
    import tomllib
    from importlib import metadata

    project = Path(__file__).parents[2] / "pyproject.toml"
    if project.is_file():
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    return metadata.version("audio-tokenizer-bench")
