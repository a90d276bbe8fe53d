"""The command line. The words of each verb, and what it does with them, stand in bench/commands/.

Nothing heavy is imported here, so that --help and a wrong flag answer at once.

Exit codes: 0 fine; 1 a check or the gate failed, or a tokenizer failed on a clip; 2 something the user can correct (one line says what);
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from bench.api import UserError
from bench.commands import compare, fit, gate, leaderboard, plot, run, show


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    try:
        options = _parser().parse_args(arguments)
        return options.verb(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped: finished clips are kept, the same command goes on from there", file=sys.stderr, flush=True)
        os._exit(130)  # not by way of the interpreter's end: a thread that is still within a codec would abort the process there
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="bench", description="Audio tokenizers, measured: reconstruction quality against bits and tokens.")
    verbs = parser.add_subparsers(required=True, metavar="verb", parser_class=_Parser)
    for module in (run, compare, plot, gate, leaderboard, show, fit):
        module.add(verbs)
    return parser
