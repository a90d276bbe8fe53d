"""A run of more clips takes no more memory: rows go to the disk, and come back a few at a time."""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.api import Metric, Row
from bench.records import digest
from bench.records.writer import LAST, Store
from tests.conftest import ROOT
from tests.perf.many_clips import measured, rows_of

METRICS = [Metric(f"m{i}", "", "higher", {"speech": 16_000}, 0.01, None) for i in range(8)]


def most(work: Callable[[int], object], turn: int) -> int:
    """Bytes that Python held at once, beyond what it held before."""
    gc.collect()
    gc.freeze()  # beside the objects of torch, garbage of a few MB would wait to be collected
    tracemalloc.start()
    try:
        work(turn)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def least(work: Callable[[int], object]) -> int:
    """The least of three: once in a while Python makes its table of interned strings anew, megabytes of its own."""
    return min(most(work, turn) for turn in range(3))


def written(root: Path, clips: int) -> None:
    store = Store(root, "toy", "codec@v", {}, {})
    for i in range(clips):
        rows = [Row(f"{i * 7919 % clips:06}", "speech", f"s{i % 40}", metric.name, i / 7) for metric in METRICS]
        store.append([*rows, Row(rows[0].clip, "speech", rows[0].speaker, LAST, 1.0)])
    store.finish()
    assert digest.of_rows(store.path, METRICS).clips == clips


def test_rows_of_ten_times_the_clips_take_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "BUFFER", 64)  # as full after 200 clips as it ever is
    written(tmp_path / "warm", 10)
    few = least(lambda turn: written(tmp_path / f"few{turn}", 200))
    many = least(lambda turn: written(tmp_path / f"many{turn}", 2000))
    assert many - few < 300 * 1800  # a row as an object takes 150 bytes: 9 of a clip would be 1350


def test_rows_are_scanned_without_being_kept(tmp_path: Path) -> None:
    written(tmp_path / "few", 200)
    written(tmp_path / "many", 2000)

    def reopened(root: Path) -> int:
        return least(lambda turn: Store(root, "toy", "codec@v", {}, {}).pooled())

    assert reopened(tmp_path / "many") - reopened(tmp_path / "few") < 300 * 1800


def test_a_finished_run_answers_without_torch(tmp_path: Path) -> None:
    words = ["run", "--tokenizer", "mulaw,identity", "--suite", "codes,reconstruction", "--limit", "2", "--results", str(tmp_path)]
    script = "import sys; from bench.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"

    def said() -> list[str]:
        done = subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()

    first, second = said(), said()
    assert (first.pop(), second.pop()) == ("True", "False") and first == second and len(first) > 20


@pytest.mark.slow
def test_a_run_of_five_times_the_clips_takes_no_more_memory(tmp_path: Path) -> None:
    few, again, many = (measured(clips, tmp_path / place) for place, clips in (("a", 200), ("b", 200), ("c", 1000)))
    assert many.peak < 1.05 * few.peak and many.answer_peak < 1.2 * few.answer_peak
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "b") and again.clips == few.clips
