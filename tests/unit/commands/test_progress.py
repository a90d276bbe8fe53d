"""Progress without a terminal: a line every tenth of the clips, and one now and then where a clip takes long."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main
from bench.commands.progress import Lines
from bench.engine import worker_pool


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(pause: float = 30.0) -> tuple[Lines, Clock, io.StringIO]:
    clock, out = Clock(), io.StringIO()
    return Lines(out, clock, pause), clock, out


def test_a_line_comes_every_tenth_of_the_clips() -> None:
    report, clock, out = lines()
    for done in range(101):
        clock.now = done
        report("mimi@mini", done, 100)
    report.stop()
    said = out.getvalue().splitlines()
    assert len(said) == 10 and said[0] == "mimi@mini: 10 of 100 clips (10 %), 10 s, about 90 s left"
    assert said[-1] == "mimi@mini: 100 of 100 clips (100 %), 100 s"


def test_a_finished_run_says_nothing_and_a_resumed_one_counts_what_is_new() -> None:
    report, clock, out = lines()
    report("a@b", 7, 7)
    report("c@d", 4, 8)
    clock.now = 2.0
    report("c@d", 5, 8)
    report.stop()
    assert out.getvalue().splitlines() == ["c@d: 5 of 8 clips (62 %), 2 s, about 6 s left"]


def test_a_clip_that_takes_long_is_no_silence() -> None:
    report, clock, out = lines(pause=0.05)
    report("slow@v", 0, 3)
    clock.now = 0.06
    time.sleep(0.2)
    report.stop()
    assert out.getvalue().splitlines() == ["slow@v: 0 of 3 clips (0 %), 0 s"]


def test_the_same_tokenizer_in_a_second_suite_starts_again() -> None:
    report, _, out = lines()
    for _ in range(2):
        report("a@b", 0, 1)
        report("a@b", 1, 1)
    report.stop()
    assert out.getvalue().splitlines() == ["a@b: 1 of 1 clips (100 %), 0 s"] * 2


def test_a_finished_run_starts_no_worker_processes(tmp_path: Path, make_data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(worker_pool, "start_server", lambda *modules: started.append(modules))
    words = ["run", "--tokenizer", "mulaw", "--suite", "codes", "--data", str(make_data(2)), "--results", str(tmp_path / "r"), "-q"]
    assert [main(words), main(words), main([*words, "--tokenizer", "identity"])] == [0, 0, 0]
    assert started == [("bench.metrics", "bench.tasks.codes")] * 2
