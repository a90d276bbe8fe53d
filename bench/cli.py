"""The command line. The words of each verb, and what it does with them, stand in bench/commands/.

Nothing heavy is imported here, so that --help and a wrong flag answer at once.

Exit codes: 0 fine; 1 a check or the gate failed, or a tokenizer failed on a clip; 2 something the user can correct (one line says what);
3 a bug of this project (BENCH_DEBUG=1 shows the traceback); 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from bench.api import UserError
from bench.commands import compare, fit, gate, leaderboard, plot, run, show, terminal


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code. Without arguments, those of the process, which then ends with it."""
    if arguments is None:
        terminal.open_descriptors()
    terminal.prepare()
    try:
        options = _parser().parse_args(arguments)
        code = options.verb(options)
        sys.stdout.flush()
    except BaseException as error:  # the one place where a command's end is told; nothing of it is lost with BENCH_DEBUG=1
        code = terminal.told(error)
    return terminal.leave(code) if arguments is None else code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="bench", description="Audio tokenizers, measured: reconstruction quality against bits and tokens.")
    verbs = parser.add_subparsers(required=True, metavar="verb", parser_class=_Parser)
    for module in (run, compare, plot, gate, leaderboard, show, fit):
        module.add(verbs)
    return parser
