"""What a second worker is worth: pytest tests/perf/test_ray_speed.py -m perf -s

A codec takes nearly all of the time (encodec, columns that cost next to nothing). One worker, then two, in turns, each with a core. The
efficiency is what a clip costs with one worker, in CPU time of the worker, by what it costs with two, times the share of the time from the
first unit to the last in which workers had a unit: on a quiet machine that is the ratio of the wall times, and on a busy one it is still
the cluster's own. Wall times are printed beside it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import soundfile

from bench.engine import cluster
from bench.engine.cluster import Cluster, Unit
from bench.engine.cluster_run import FEWEST
from bench.records.identity import identity
from bench.records.options import Options
from bench.records.shards import Shard
from bench.records.writer import key_of
from tests.conftest import speech_like
from tests.perf.timed_worker import TIMES, Timed, work

ray = pytest.importorskip("ray", reason="needs ray: pip install -c constraints.txt ray")
pytestmark = pytest.mark.perf
SHARDS, SECONDS, TURNS = 8, 5.0, 2
LEAST = 0.9


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for i in range(SHARDS * FEWEST):
        soundfile.write(folder / f"{i:03}.flac", speech_like(SECONDS, 16_000, i).numpy(), 16_000)
    return folder


@dataclass(frozen=True)
class Taken:
    """By all shards."""

    cpu: float  # s
    wall: float  # s from the first start to the last end
    busy: float  # share of it in which workers had a shard


def taken(told: list[dict[str, float]]) -> Taken:
    workers = {one["worker"] for one in told}
    wall = max(one["end"] for one in told) - min(one["start"] for one in told)
    return Taken(sum(one["cpu"] for one in told), wall, sum(one["end"] - one["start"] for one in told) / wall / len(workers))


class Some(Cluster):
    """So many workers, however many cores there are; they are there before the first unit is handed out."""

    def __init__(self, workers: int):
        super().__init__("")
        self.workers = workers

    def machines(self) -> list[dict[str, float]]:
        return [{"CPU": float(self.workers)}]


def run(workers: int, data: Path) -> Taken:
    opened = work(data)
    options = Options(Path("unused"), workers=1)
    key = key_of(identity(opened.variants[0], opened.suite, opened.data, options))
    with Some(workers) as several:
        warm = [Unit(key, Shard(number, SHARDS)) for number in range(1, workers + 1)]
        units = [Unit(key, Shard(number, SHARDS)) for number in range(1, SHARDS + 1)]
        found = several.done([*warm, *units], partial(work, data), options)
        told = [json.loads(files[TIMES]) for _, files in found]
    return taken(sorted(told, key=lambda one: one["end"])[workers:])


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Path], Taken]]:
    monkeypatch.setattr(cluster, "Worker", Timed)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield run


def test_two_workers_are_worth_two(timed: Callable[[int, Path], Taken], data: Path) -> None:
    turns = [(timed(1, data), timed(2, data)) for _ in range(TURNS)]
    found = [one.cpu / two.cpu * two.busy / one.busy for one, two in turns]
    for (one, two), efficiency in zip(turns, found, strict=True):
        print(
            f"\none worker: {one.cpu:.1f} s CPU, {one.wall:.1f} s, busy {one.busy:.3f}; two: {two.cpu:.1f} s CPU, {two.wall:.1f} s, busy"
            f" {two.busy:.3f}: efficiency {efficiency:.3f} (by wall time {one.wall / two.wall / 2:.3f})"
        )
    assert max(found) >= LEAST
