"""How a command ends: in any encoding, with closed and full outputs, from any thread, and never with a traceback."""

import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.api import UserError
from bench.cli import main
from bench.commands import show, terminal
from tests.conftest import ROOT
from tests.unit.commands.test_cli import command


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH": f"{sys.executable} -m bench", **variables}
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, cwd=ROOT, timeout=120, env=environment)


def test_signs_that_an_encoding_lacks_come_as_their_nearest_or_as_codes() -> None:
    terminal.prepare()
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=terminal.SIGNS)
    out.write("pesq ↑ lsd ↓ →0 ≈ – … │─┼ 2 × naïve 你 \udcff")
    out.flush()
    assert out.buffer.getvalue() == rb"pesq ^ lsd v >0 ~ - . |-+ 2 x na\xefve \u4f60 \udcff"  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_tables_come_in_any_encoding(encoding: str) -> None:
    done = shell("$BENCH list metrics", PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and not done.stderr and "pesq_wb" in done.stdout


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$BENCH --help >&-", 0),
        ("$BENCH --help 2>&-", 0),
        ("$BENCH --help <&- >&- 2>&-", 0),
        ("$BENCH nowhere 2>&-", 2),
        ("$BENCH list metrics | true", 0),
        ("$BENCH --help | true", 0),
        ("$BENCH nowhere 2> >(true)", 2),
    ],
)
def test_a_closed_output_is_no_fault(line: str, code: int) -> None:
    done = shell(line)
    assert done.returncode == code and "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    done = shell("$BENCH list suites > /dev/full")
    assert done.returncode == 2 and done.stderr.startswith("error: No space left on device") and done.stderr.count("\n") == 1


def test_a_full_disk_under_the_results_is_one_line(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    done = subprocess.run(
        command("run", "--tokenizer", "mulaw", "--data", make_data(), "--results", tmp_path / "r", "--suite", "codes", "-q"),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)),
    )
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("what, where: how"), 2, "error: what, where: how\n"),
        (KeyboardInterrupt(), 130, "stopped: finished clips are kept"),
        (KeyboardInterrupt("half of it is kept"), 130, "stopped: half of it is kept\n"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied: "),
        (MemoryError("no"), 2, "error: out of memory"),
        (ZeroDivisionError("by\nzero"), 3, "error: ZeroDivisionError: by zero (test_terminal.py:"),
        (SystemExit(0), 0, ""),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_every_end_is_one_line_and_a_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(options: object) -> int:
        raise error

    monkeypatch.delenv("BENCH_DEBUG", raising=False)
    monkeypatch.setattr(show, "list_", fail)
    assert main(["list", "suites"]) == code
    printed = capfd.readouterr()
    assert not printed.out and printed.err.startswith(said) and printed.err.count("\n") == bool(said)


def test_a_bug_shows_its_traceback_where_asked(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(options: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setenv("BENCH_DEBUG", "1")
    monkeypatch.setattr(show, "list_", fail)
    assert main(["list", "suites"]) == 3
    assert "Traceback" in capfd.readouterr().err


def test_a_thread_that_never_ends_does_not_keep_the_process() -> None:
    script = (
        "import sys, threading, time, atexit; from bench.commands import terminal\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "atexit.register(print, 'goodbye'); print('table'); sys.exit(terminal.leave(2))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (2, "table\n", "goodbye\n")


def test_weights_that_are_none_are_one_line_and_leave_no_trace(
    tmp_path: Path, make_data: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    pointer = tmp_path / "w.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    words = ["run", "--tokenizer", "mimi@24khz", "--weights", str(pointer), "--data", str(make_data()), "--results", str(tmp_path / "r")]
    assert main([*words, "-q"]) == 2
    err = capfd.readouterr().err
    assert "cannot be read as weights" in err and err.count("\n") == 1 and not (tmp_path / "r").exists()


def test_a_temporary_folder_of_any_length_will_do(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    script = (
        "from bench.engine.worker_pool import WorkerPool, start_server; from bench.api import Job; import bench.engine.scoring as s\n"
        "def count(payload, steps):\n    yield from steps\n"
        "if __name__ == '__main__':\n    start_server()\n    with WorkerPool(1) as pool:\n"
        "        print([r for _, r in pool.ask(s.score, iter([Job(1, None, ())]))])"
    )
    path = tmp_path / "script.py"
    path.write_text(script)
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0 and done.stdout == "[[]]\n", done.stderr
