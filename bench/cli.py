"""The command line. The words of each command, and what it does with them, are in bench/commands/.

Nothing heavy is imported here, so that --help and a wrong flag answer at once.

Exit codes: 0 fine; 1 a check or the gate failed, or a tokenizer failed on a clip; 2 a usage or environment error (one line says what);
3 a bug of this project (BENCH_DEBUG=1 shows the traceback); 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NoReturn

from bench.api import UserError
from bench.commands import (
    ablate,
    arguments,
    compare,
    completion,
    config,
    data,
    doctor,
    fit,
    gate,
    leaderboard,
    listening,
    merge,
    plot,
    report,
    run,
    runs,
    score,
    show,
    table,
    terminal,
    tokenize,
)

EXAMPLES = """commands by purpose:
  measure   run, merge, score, check, train, kmeans, ablate
  read      list, show, runs, compare, table, plot, report
  listen    listening
  use       tokenize, detokenize, data
  publish   gate, leaderboard
  set up    doctor, completion

examples:
  bench run --tokenizer mimi                       one tokenizer on the bundled corpus
  bench run --tokenizer mimi,'opus@*' --suite all  several tokenizers through every suite
  bench compare mimi 'opus@*'                      paired differences of finished runs, with intervals and p-values
  bench COMMAND --help                             the flags of a command, with examples"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{_hinted(message)} (see {self.prog} --help)")


def _hinted(message: str) -> str:
    """argparse's words for a choice that is none, with the nearest one that is."""
    from bench.catalog.names import nearest

    found = re.fullmatch(r"(.*invalid choice: '([^']+)') (\(choose from (.+)\))", message)
    near = nearest(found[2], re.findall(r"[\w-]+", found[4])) if found else "."
    return f"{found[1]}{near} {found[3]}" if found and near != "." else message


class _Version(argparse.Action):
    """The version is read only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"audio-tokenizer-bench {arguments.version()}")
        parser.exit()


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code. Without arguments, those of the process, which then ends with it."""
    if words is None:
        terminal.open_descriptors()
        terminal.tell_of_threads()
    terminal.prepare()
    try:
        code = _act(sys.argv[1:] if words is None else list(words))
        sys.stdout.flush()
    except BaseException as error:  # the one place where a command's end is told; nothing of it is lost with BENCH_DEBUG=1
        code = terminal.told(error)
    return terminal.leave(code) if words is None else code


def _act(words: list[str]) -> int:
    parser, verbs = _parser()
    if "_ARGCOMPLETE" in os.environ:
        completion.complete(parser)
    if not words:
        parser.print_help()
        return 0
    _check_flags(words, verbs)
    options, rest = parser.parse_known_args(config.read(words, verbs))
    if rest:  # argparse would say so in the name of the whole program
        raise UserError(f"unknown words: {' '.join(rest)} (see bench {words[0]} --help)")
    return options.verb(options)


def _check_flags(words: Sequence[str], verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """A flag that its command does not have is told before what is lacking: it is mostly a mistyped one of those."""
    if (verb := verbs.get(words[0])) is None:
        return
    known = verb._option_string_actions
    for word in takewhile(lambda word: word != "--", words[1:]):
        if word.startswith("--") and (flag := word.partition("=")[0]) not in known:
            from bench.catalog.names import nearest

            near = nearest(flag, [name for name in known if name.startswith("--")]).removesuffix(".")
            raise UserError(f"unknown flag {flag}{near} (see bench {words[0]} --help)")


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and those of the commands by name."""
    about = "Audio tokenizers, measured: reconstruction quality versus bitrate and token rate."
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog="bench", description=about, epilog=EXAMPLES, formatter_class=layout, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND", title="commands", parser_class=_Parser)
    for module in (
        run,
        merge,
        score,
        show,
        runs,
        compare,
        table,
        plot,
        report,
        listening,
        tokenize,
        gate,
        leaderboard,
        fit,
        ablate,
        data,
        doctor,
        completion,
    ):
        module.add(verbs)
    return parser, dict(verbs.choices)
