"""Where the command line meets its terminal: a narrow encoding, closed and full outputs, and an end in one line, whatever happened.

Exit codes: 1 a check or the gate failed, or a tokenizer failed; 2 something that the user can correct; 3 a bug of ours; 130 Ctrl-C.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import os
import sys
import threading
import traceback
from pathlib import Path

from bench.api import UserError

PLAIN = {  # signs of tables as ASCII has them, one for one, so that columns stay in line
    **dict.fromkeys("–—−‐‑", "-"),
    **{"↑": "^", "↓": "v", "→": ">", "←": "<", "≈": "~", "×": "x", "·": ".", "…": ".", "•": "*", "†": "*", "‡": "+", "µ": "u"},
    **{"≤": "<", "≥": ">", "±": "~", "°": "o", "§": "#", "“": '"', "”": '"', "‘": "'", "’": "'", "✓": "+", "✗": "x", "\xa0": " "},
    **dict.fromkeys("─━═╴╶╸╺", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰", "+"),
}
SIGNS = "bench-signs"  # the name of the error handler


def prepare() -> None:
    """Every sign can be printed, in whatever encoding: what it lacks comes as its nearest ASCII sign, or as a code such as \\u4f60."""
    codecs.register_error(SIGNS, _plain)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors=SIGNS)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign) or _code(sign) for sign in error.object[error.start : error.end]), error.end


def _code(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode()


def open_descriptors() -> None:
    """Where the process was started without stdin, stdout or stderr, they are the null device: else the next file opened would be one."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def tell_of_threads() -> None:
    """An error that ends a thread of another's code, or that nobody could catch, is a line, too."""
    threading.excepthook = lambda hook: say(f"warning: a thread ended: {_told(hook.exc_type, hook.exc_value)}")
    sys.unraisablehook = lambda hook: say(f"warning: {hook.err_msg or 'ignored'}: {_told(hook.exc_type, hook.exc_value)}")


def _told(kind: type[BaseException] | None, error: BaseException | None) -> str:
    where = f" ({_place(error)})" if error and error.__traceback__ else ""
    return f"{kind.__name__ if kind else 'error'}: {' '.join(str(error).split())}{where}"


def told(error: BaseException) -> int:
    """Says in one line why a command ended, and gives its exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, UserError):
        return _say(f"error: {error}", error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return _say(f"stopped: {str(error) or 'finished clips are kept, the same command resumes'}", 130)
    if isinstance(error, BrokenPipeError):  # the reader of our output has left, as `| head` does
        return 0
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"error: {where}{error.strerror or error}: what was finished is kept; give the same command again after a cure", 2)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return _say(f"error: out of memory ({_text(error)}): give shorter clips, fewer --workers or another --device", 2)
    if os.environ.get("BENCH_DEBUG"):
        traceback.print_exception(error)
    return _say(f"error: {_text(error)} ({_place(error)}): this is a bug of bench, please report it; BENCH_DEBUG=1 shows where it is", 3)


def _text(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in last)


def say(line: str, red: bool = False) -> None:
    """A line on stderr, which may have no reader any more; red where it is a terminal that shows colours."""
    if red and sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        line = f"\x1b[31m{line}\x1b[0m"
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def several(count: int, name: str) -> str:
    """So many of a thing, whose name takes an s: 1 clip, 1,000 clips."""
    return f"{count:,} {name}{'s' * (count != 1)}"


def _say(line: str, code: int) -> int:
    say(line)
    return code


def leave(code: int) -> int:
    """The end of the process, its output written. What others still print when the interpreter ends goes to stderr.

    A thread that is within a codec when the interpreter ends would abort the process, and one that never ends would keep it for ever: where
    there is any, the process ends without waiting.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or told(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # closed or full: what is left has no place to go
            _to_null(stream.fileno())
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    if threading.active_count() > 1:
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    return code


def _to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
