"""A run by workers is the run of one machine, byte by byte, whatever the order and however often it is stopped. Without Ray: it is stood in
for by this process; tests/unit/engine/test_ray.py has a real cluster, where machines die."""

import os
import random
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from bench import registry
from bench.api import UserError
from bench.cli import main
from bench.data.manifests import open_data
from bench.engine import cluster as clusters
from bench.engine.cluster import BEAT, DEATHS, Cluster, Crew, Needs, Unit
from bench.engine.cluster_run import FEWEST, MOST, division, run
from bench.engine.cluster_worker import Files, Instances, Setting, Work, Worker, setting
from bench.engine.run import run as locally
from bench.engine.worker_pool import WorkerPool
from bench.records.finished import Run
from bench.records.hardware import CORES
from bench.records.options import Options
from bench.records.shards import Shard

CLIPS = 8
NAMES = ("mulaw", "shuffled")
LIGHT = ("si_sdr", "kbps_packed", "kbps_nominal", "kbps_entropy")


def work(names: tuple[str, ...] = NAMES, clips: int = CLIPS) -> Work:
    suite = registry.load_suite("reconstruction")
    light = tuple(metric for metric in suite.metrics if metric.name in LIGHT)
    return Work([registry.variant(name) for name in names], replace(suite, metrics=light), open_data("mini", clips))


class Here(Cluster):
    """Units go through a worker in this process, in an order of its own; after some of them comes Ctrl-C."""

    def __init__(self, worker: Worker, seed: int = 0, stop: int = 99):
        self.worker, self.seed, self.stop = worker, seed, stop
        self.seen: list[Unit] = []

    def done(self, units: Iterable[Unit], work: Callable[[], Work], options: Options) -> Iterator[tuple[Unit, Files]]:
        several = list(units)
        random.Random(self.seed).shuffle(several)
        for unit in several:
            if len(self.seen) == self.stop:
                raise KeyboardInterrupt
            self.seen.append(unit)
            yield unit, self.worker.shard(unit.key, unit.shard)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    one = Worker(setting(), work, Options(tmp_path_factory.mktemp("unused"), workers=1))
    one.open()
    with one.pool:
        yield one
    os.environ.pop(CORES)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    results = tmp_path_factory.mktemp("single")
    opened = work()
    assert len(list(locally(list(opened.variants), opened.suite, opened.data, Options(results, workers=1)))) == 2
    return kept(results)


def kept(results: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in results.glob("*/*/rows.csv")}


def by_workers(results: Path, cluster: Cluster, told: list | None = None, fresh: bool = False) -> list[Run]:
    opened = work()
    report = (lambda *words: told.append(words)) if told is not None else None
    return list(run(list(opened.variants), opened.suite, opened.data, Options(results, fresh=fresh), cluster, work, report))


def test_rows_are_those_of_a_run_of_one_machine(tmp_path: Path, single: dict[str, bytes], worker: Worker) -> None:
    told: list[tuple[str, int, int]] = []
    runs = by_workers(tmp_path, Here(worker, seed=3), told)
    assert kept(tmp_path) == single and len(single) == 2
    assert [one.fresh_clips for one in runs] == [CLIPS, CLIPS] and not list(tmp_path.glob("*/*/shards/*/*"))
    assert told[0] == ("mulaw@8bit", 0, CLIPS) and told[-1] == ("shuffled@float32", CLIPS, CLIPS)
    assert [words[0] for words in told] == sorted(words[0] for words in told)  # one after the other
    cluster = Here(worker)
    assert [one.fresh_clips for one in by_workers(tmp_path, cluster)] == [0, 0] and not cluster.seen


def test_a_stopped_run_goes_on_with_the_shards_that_it_lacks(tmp_path: Path, single: dict[str, bytes], worker: Worker) -> None:
    first, second = Here(worker, seed=1, stop=3), Here(worker, seed=2)
    with pytest.raises(KeyboardInterrupt):
        by_workers(tmp_path, first)
    torn = next(tmp_path.glob("*/*/shards/*/rows.csv"))  # as kill -9 may leave it
    torn.write_bytes(torn.read_bytes()[:-9])
    runs = by_workers(tmp_path, second)
    assert len(first.seen) == 3 and len(second.seen) == 2 and len({*first.seen, *second.seen}) == 4
    assert kept(tmp_path) == single and sum(one.fresh_clips for one in runs) == 2 * FEWEST
    third = Here(worker)
    by_workers(tmp_path, third, fresh=True)
    assert len(third.seen) == 4 and kept(tmp_path) == single


def test_shards_of_failed_clips_are_run_again_and_no_others(tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Here):
        def done(self, units: Iterable[Unit], work: Callable[[], Work], options: Options) -> Iterator[tuple[Unit, Files]]:
            for unit, files in super().done(units, work, options):
                rows = files["rows.csv"].splitlines(keepends=True)
                if unit.shard.number == 2:
                    rows[1] = rows[1].rstrip(b"\n").rsplit(b",", 1)[0] + b",tokenizer failed: broken\n"
                yield unit, {**files, "rows.csv": b"".join(rows), "run.json": resealed(files["run.json"], b"".join(rows))}

    runs = by_workers(tmp_path, Failing(worker))
    assert [len(one.failed) for one in runs] == [1, 1]
    again = Here(worker)
    assert [len(one.failed) for one in by_workers(tmp_path, again)] == [0, 0]
    assert {unit.shard for unit in again.seen} == {Shard(2, 2)}


def resealed(record: bytes, rows: bytes) -> bytes:
    import hashlib
    import json

    return json.dumps(json.loads(record) | {"rows_sha256": hashlib.sha256(rows).hexdigest()}).encode()


def test_tar_shards_are_read_by_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CORES, "1")
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        for clip in open_data("mini", 4).clips:
            tar.add(clip.path, clip.path.name)

    def there() -> Work:
        return replace(work(NAMES[:1]), data=open_data(str(tmp_path / "all.tar")))

    opened, one = there(), Worker(setting(), there, Options(tmp_path, workers=1))
    one.open()
    with one.pool:
        list(run(list(opened.variants), opened.suite, opened.data, Options(tmp_path / "there"), Here(one), there))
    list(locally(list(opened.variants), opened.suite, opened.data, Options(tmp_path / "here", workers=1)))
    assert kept(tmp_path / "there") == kept(tmp_path / "here") != {}


def test_what_a_worker_loaded_serves_the_next_shard() -> None:
    made: list[object] = []

    def load() -> object:
        made.append(object())
        return made[-1]

    instances = Instances(load)  # type: ignore[arg-type]
    first = {id(instances.take()), id(instances.take())}
    instances.free()
    assert {id(instances.take()), id(instances.take())} == first and len(made) == 2
    instances.take()
    assert len(made) == 3


def test_a_worker_keeps_its_tokenizer_and_its_processes(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    key = next(iter(worker.variants))
    worker.shard(key, Shard(1, 2))
    loads: list[object] = []
    monkeypatch.setattr(registry, "load_tokenizer", lambda *words: loads.append(words))
    monkeypatch.setattr(WorkerPool, "_start", lambda *_: pytest.fail("a process was started"))
    assert set(worker.shard(key, Shard(2, 2))) == {"rows.csv", "run.json", "codes.json"} and not loads


def test_a_machine_that_is_not_as_the_command_s_is_named(tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    here, monkey = setting(), Options(tmp_path, workers=1)
    monkeypatch.setenv(CORES, "1")
    with pytest.raises(UserError, match="machine .*: no folder /no/such"):
        Worker(Setting("/no/such", {}, here.code), work, monkey).open()
    with pytest.raises(UserError, match=r"torch .* \(the command has 1.0\): install the same"):
        Worker(Setting(here.folder, {}, {**here.code, "torch": "1.0"}), work, monkey).open()
    with pytest.raises(UserError, match="other data, weights or code"):
        worker.shard("0" * 64, Shard(1, 2))


def test_as_many_shards_as_data_and_device_say() -> None:
    assert [division(clips, "cpu") for clips in (1, FEWEST, 24, 100_000)] == [1, 1, 24 // FEWEST, MOST]
    assert division(24, "cuda") == 1 and division(1000, "cuda") == 15


@pytest.mark.parametrize(
    ("needs", "room"), [(Needs(1, 0), 9), (Needs(4, 0), 2), (Needs(1, 1), 2), (Needs(4, 1), 2), (Needs(5, 1), 1), (Needs(10, 0), 0)]
)
def test_a_machine_has_room_for_as_many_as_its_scarcest_resource(needs: Needs, room: int) -> None:
    assert needs.room({"CPU": 9.0, "GPU": 2.0}) == room


GPUS = [{"CPU": 4.0}, {"CPU": 64.0, "GPU": 8.0}, {"CPU": 20.0, "GPU": 4.0}]


def test_a_cluster_says_which_device_and_what_each_worker_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster("head:1")
    monkeypatch.setattr(cluster, "machines", lambda: GPUS)
    assert cluster.device("auto") == "cuda" and cluster.needs("cuda", 0) == Needs(5, 1) and cluster.needs("cuda", 2) == Needs(2, 1)
    assert cluster.device("cpu") == "cpu" and cluster.needs("cpu", 0) == Needs(1, 0)
    with pytest.raises(UserError, match="chooses among its GPUs"):
        cluster.device("cuda:1")
    with pytest.raises(UserError, match="has 99 cores"):
        cluster.needs("cpu", 99)
    monkeypatch.setattr(cluster, "machines", lambda: GPUS[:1])
    assert cluster.device("auto") == "cpu"
    with pytest.raises(UserError, match="no machine of the cluster at head:1 has a GPU"):
        cluster.device("cuda")


class Lost(Exception):
    """RayError, and without a cause RayTaskError."""


class Raised(Lost):
    def __init__(self, cause: Exception):
        self.cause = cause


class Call:
    """A worker's method that was called; both methods of a worker are this."""

    def __init__(self, unit: Unit | None):
        self.unit = unit


class Hired:
    def __init__(self) -> None:
        self.open = self.shard = self

    def remote(self, *words: object) -> Call:
        return Call(Unit(*words) if words else None)  # type: ignore[arg-type]


class Ray(ModuleType):
    """As much of Ray as a crew uses: a call is made when it is waited for, and `fate` says what becomes of it."""

    def __init__(self, fate: Callable[[Unit | None], object]):
        super().__init__("ray")
        self.fate, self.killed = fate, []

    def wait(self, refs: list, timeout: float) -> tuple[list, list]:
        return refs[-1:], refs[:-1]

    def get(self, ref: Call) -> object:
        return self.fate(ref.unit)

    def kill(self, worker: object) -> None:
        self.killed.append(worker)


UNITS = [Unit("a", Shard(number, 6)) for number in range(1, 7)]


def crew(fate: Callable[[Unit | None], object], monkeypatch: pytest.MonkeyPatch, room: Callable[[], int] = lambda: 2) -> tuple[Crew, Ray]:
    ray, exceptions = Ray(fate), ModuleType("ray.exceptions")
    exceptions.__dict__.update(RayError=Lost, RayTaskError=Raised)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)
    monkeypatch.setattr(clusters, "BEAT", 0.0)
    return Crew(room, Hired), ray  # type: ignore[arg-type]


def test_a_worker_that_dies_costs_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Unit | None] = []
    died: list[Unit | None] = []

    def fate(unit: Unit | None) -> object:
        asked.append(unit)
        if len(asked) % 3 == 1:
            died.append(unit)
            raise Lost("node died")
        return {"rows.csv": b""}

    several, ray = crew(fate, monkeypatch)
    found = [unit for unit, _ in several.done(UNITS)]
    assert sorted(found, key=str) == sorted(UNITS, key=str) and died and None in died and set(died) != {None}
    assert len(ray.killed) == len(died)
    several.dismiss()
    assert len(ray.killed) <= len(died) + 2  # two at a time, and none is left


@pytest.mark.parametrize(("doomed", "said"), [(UNITS[2], "at shard 3/6 .*--executor local --shard 3/6"), (None, "when they started")])
def test_a_unit_that_kills_every_worker_ends_the_run(doomed: Unit | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fate(unit: Unit | None) -> object:
        if unit == doomed:
            raise Lost("SIGSEGV")
        return {}

    several, ray = crew(fate, monkeypatch)
    with pytest.raises(UserError, match=f"{DEATHS + 1} workers died {said}"):
        list(several.done(UNITS))
    assert len(ray.killed) == DEATHS + 1


def test_machines_that_die_while_workers_open_end_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[None] = []

    def fate(unit: Unit | None) -> object:
        if unit is None:
            opened.append(unit)
            if len(opened) <= 3 * DEATHS:
                raise Lost("The actor died because its node has died. Node Id: 7e81")
        return {}

    several, ray = crew(fate, monkeypatch)
    assert len(list(several.done(UNITS))) == 6 and len(ray.killed) == 3 * DEATHS


def test_what_a_worker_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fate(unit: Unit | None) -> object:
        raise Raised(UserError("one line"))

    with pytest.raises(UserError, match="^one line$"):
        list(crew(fate, monkeypatch)[0].done(UNITS))


def test_workers_are_hired_as_machines_come_and_not_beyond_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = iter([0, 0, 1])
    several, _ = crew(lambda unit: {}, monkeypatch, lambda: next(rooms, 99))
    crews = [len(several.doing) + len(several.idle) for _ in several.done(UNITS)]
    assert len(crews) == 6 and max(crews) <= 6 and BEAT > 0


RUN = ["run", "--tokenizer", "mulaw", "--limit", "4", "-q", "--executor", "ray"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--suite", "throughput"], "the throughput suite times one machine, alone: leave --executor out"),
        (["--suite", "codes"], "of all clips at once, which shards cannot give: leave --executor out"),
        (["--shard", "1/2"], "leave --shard out"),
        (["--save-audio", "wavs"], "leave --executor out, or --save-audio"),
        (["--executor", "local", "--address", "head:1"], "--address belongs to --executor ray"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, *words, "--results", str(tmp_path / "results")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0] and not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere", "no Ray cluster at nowhere (it is not HOST:PORT)"),
        ("ray://127.0.0.1:1", "(it is not HOST:PORT)"),
        ("127.0.0.1:1", "no Ray cluster at 127.0.0.1:1 ([Errno 111] Connection refused)"),
    ],
)
def test_an_address_without_a_cluster_is_one_line(address: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray")
    test_what_cannot_be_is_one_line(["--address", address], said, tmp_path, capsys)


def test_ray_that_is_not_installed_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*RUN, "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: --executor ray needs ray: pip install audio-tokenizer-bench[ray]\n"


def test_ray_that_does_not_start_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    ray = ModuleType("ray")
    ray.__dict__["init"] = init
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert main([*RUN, "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: Ray cannot be started on this machine (The current node timed out") and said.count("\n") == 1


@pytest.mark.slow
def test_with_all_suites_those_that_a_cluster_cannot_do_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["run", "--tokenizer", "mulaw", "--limit", "4", "--executor", "ray", "--suite", "all", "--results", str(tmp_path)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert all(f"left out: suite {name}" in said for name in ("throughput", "codes", "probe")) and "needs ray" in said
    assert "left out: suite mcd" not in said


def test_the_work_of_a_command_can_be_sent() -> None:
    from bench.cli import _parser
    from bench.commands.run import _work

    options = _parser()[0].parse_args([*RUN, "--suite", "mcd"])
    cloudpickle = pytest.importorskip("cloudpickle")  # Ray's, and others'
    again = cloudpickle.loads(cloudpickle.dumps(partial(_work, options, "mcd")))()
    assert again.suite.name == "mcd" and [one.spec.label for one in again.variants] == ["mulaw@8bit"] and len(again.data.clips) == 4
