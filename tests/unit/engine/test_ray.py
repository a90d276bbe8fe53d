"""A real Ray cluster on this machine, where machines die, workers hang up and the command is killed: the rows are those of one machine."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.conftest import ROOT, speech_like

pytest.importorskip("ray", reason="needs ray: pip install -c constraints.txt ray")
pytestmark = pytest.mark.slow

KILLS = 20
CLIPS = 160  # in shards of four: two for each death
WORDS = ["--tokenizer", "mulaw", "--suite", "reconstruction", "--format", "csv"]
ENVIRONMENT = os.environ | {
    **{"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)},
    **{"RAY_health_check_period_ms": "500", "RAY_health_check_timeout_ms": "2000", "RAY_enable_metrics_collection": "0"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of twelve seconds, so that a shard takes longer than a death; no sha256 is stated."""
    folder = tmp_path_factory.mktemp("data")
    for i in range(CLIPS):
        soundfile.write(folder / f"{i:03d}.flac", speech_like(12.0, 16_000, i).numpy(), 16_000)
    return folder


@pytest.fixture(scope="module")
def single(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of a run without Ray."""
    results = tmp_path_factory.mktemp("single")
    assert bench(data, results, "-q").wait() == 0
    return rows(results)


def bench(data: Path, results: Path, *words: str) -> subprocess.Popen[bytes]:
    """The command, in a session of its own so that Ctrl-C can be sent to it and to nobody else."""
    command = [sys.executable, "-m", "bench", "run", *WORDS, "--data", str(data), "--results", str(results), *words]
    with (results / "said.txt").open("ab") as said:
        return subprocess.Popen(command, cwd=results, env=ENVIRONMENT, stdout=said, stderr=said, start_new_session=True)


def rows(results: Path) -> Path:
    (found,) = results.glob("*/*/rows.csv")
    return found


def said(results: Path) -> str:
    return (results / "said.txt").read_text()


def shards(results: Path) -> int:
    """How many have come back; none once they are merged."""
    return len(list(results.glob("*/*/shards/*/run.json")))


def wait_for(results: Path, running: subprocess.Popen[bytes], count: int, seconds: float = 300) -> bool:
    """Until so many shards are there; False: the run ended before."""
    end = time.monotonic() + seconds
    while shards(results) < count and running.poll() is None:
        assert time.monotonic() < end, said(results)
        time.sleep(0.05)
    return running.poll() is None


class Machines:
    """A head without cores, and machines of one core each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.there = [self.cluster.add_node(num_cpus=1) for _ in range(2)]

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def kill(self, place: int) -> None:
        """As a machine that loses power."""
        self.cluster.remove_node(self.there.pop(place), allow_graceful=False)

    def add(self) -> None:
        self.there.append(self.cluster.add_node(num_cpus=1))


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    several = Machines()
    yield several
    several.cluster.shutdown()


def test_machines_that_die_cost_a_retry_and_nothing_else(machines: Machines, data: Path, single: Path, tmp_path: Path) -> None:
    draw, killed, began = random.Random(0), 0, time.monotonic()
    running = bench(data, tmp_path, "--executor", "ray", "--address", machines.address)
    try:
        while killed < KILLS and wait_for(tmp_path, running, 1 + 2 * killed - killed // 4):
            machines.kill(draw.randrange(len(machines.there)))
            killed += 1
            machines.add()
        assert running.wait(300) == 0, said(tmp_path)
    finally:
        running.kill()
    assert killed == KILLS and rows(tmp_path).read_bytes() == single.read_bytes()
    print(f"{killed} machines died in {time.monotonic() - began:.0f} s")
    assert json.loads((rows(tmp_path).parent / "run.json").read_text())["clips"] == CLIPS


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL], ids=lambda blow: blow.name)
def test_a_command_that_was_stopped_goes_on(blow: signal.Signals, data: Path, single: Path, tmp_path: Path) -> None:
    running = bench(data, tmp_path, "--executor", "ray")
    assert wait_for(tmp_path, running, 6), said(tmp_path)
    os.killpg(running.pid, blow) if blow == signal.SIGINT else running.send_signal(blow)
    assert running.wait(60) == (130 if blow == signal.SIGINT else -signal.SIGKILL)
    if blow == signal.SIGINT:
        assert said(tmp_path).endswith("stopped: finished clips are kept, the same command resumes\n")
    kept = {path.parent.name: json.loads(path.read_text())["started"] for path in tmp_path.glob("*/*/shards/*/run.json")}
    assert 6 <= len(kept) < CLIPS // 4
    assert bench(data, tmp_path, "--executor", "ray").wait(300) == 0, said(tmp_path)
    assert rows(tmp_path).read_bytes() == single.read_bytes() and not list(tmp_path.glob("*/*/shards"))
    parts = json.loads((rows(tmp_path).parent / "run.json").read_text())["shards"]
    assert kept.items() <= {part["shard"].replace("/", "-of-"): part["started"] for part in parts}.items()  # they were not run again
