"""The worker pool: a process that dies, hangs or raises costs one score, and nothing else."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from bench.api import Failure, Job, Score
from bench.engine.worker_pool import PROC, WorkerPool


def act(payload: str, steps: Sequence[str]) -> Iterator[Score]:
    """Scores a step by what it is called."""
    for step in steps:
        if step == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif step == "exit":
            os._exit(7)
        elif step == "hang":
            time.sleep(60)
        elif step == "starve":
            end = time.monotonic() + 3
            while time.monotonic() < end:
                time.sleep(0.1)
                sum(range(200_000))
        elif step == "nap":
            time.sleep(0.1)
        elif step == "raise":
            raise ValueError("a bad\nclip")
        yield Score(float(len(payload)), note=step)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2, step_seconds=30) as pool:  # a new worker's first step counts its imports, seconds on a busy machine
        yield pool


def scores(pool: WorkerPool, *steps: str) -> list[Score]:
    ((_, found),) = pool.map(act, iter([Job("key", "abc", steps)]))
    return found


@pytest.mark.skipif(not PROC.exists(), reason="the system does not tell what processes used")
def test_the_time_of_all_its_processes_is_told_that_of_one_it_killed_too() -> None:
    with WorkerPool(1, step_seconds=30) as pool:
        scores(pool, "starve")
        busy = pool.cpu_seconds()
        assert busy > 0.1
        pool.step_seconds = 1
        scores(pool, "hang")
        assert pool.cpu_seconds() >= busy


def test_scores_come_in_the_order_of_the_steps(pool: WorkerPool) -> None:
    assert [s.note for s in scores(pool, "one", "two", "three")] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("step", "note"),
    [
        ("crash", "worker process died: SIGSEGV"),
        ("exit", "worker process ended with exit code 7"),
        ("raise", "ValueError: a bad clip"),
    ],
)
def test_a_failing_step_costs_one_score_and_says_why(pool: WorkerPool, step: str, note: str) -> None:
    before, failed, after = scores(pool, "before", step, "after")
    assert (before.value, after.value) == (3, 3)
    assert math.isnan(failed.value) and failed.note == note


def test_a_step_that_hangs_is_stopped() -> None:
    with WorkerPool(1, step_seconds=6) as impatient:
        before, failed, after = scores(impatient, "before", "hang", "after")
    assert (before.value, after.value) == (3, 3)
    assert math.isnan(failed.value) and failed.note == "stopped: no result after 6 s"


def test_every_step_may_fail(pool: WorkerPool) -> None:
    assert [math.isnan(s.value) for s in scores(pool, "exit", "crash", "raise")] == [True] * 3


def shout(payload: str, steps: Sequence[str]) -> Iterator[str]:
    """Texts rather than scores."""
    for step in steps:
        if step == "raise":
            raise ValueError("a bad\nclip")
        yield payload.upper() + step


def test_a_task_may_give_other_things_than_scores(pool: WorkerPool) -> None:
    ((key, found),) = pool.ask(shout, iter([Job("key", "abc", ("one", "raise", "two"))]))
    assert (key, found) == ("key", ["ABCone", Failure("ValueError: a bad clip"), "ABCtwo"])


def test_other_jobs_do_not_notice_a_crash(pool: WorkerPool) -> None:
    jobs = (Job(i, "x" * i, ("crash",) if i % 4 == 0 else ("fine",)) for i in range(1, 13))
    found = dict(pool.map(act, jobs))
    assert {key: math.isnan(value[0].value) for key, value in found.items()} == {i: i % 4 == 0 for i in range(1, 13)}
    assert all(value[0].value == key for key, value in found.items() if key % 4)


def test_jobs_are_pulled_no_faster_than_they_are_done(pool: WorkerPool) -> None:
    pulled = done = 0

    def jobs() -> Iterator[Job[int, str]]:
        nonlocal pulled
        for i in range(24):
            pulled += 1
            yield Job(i, "x", ("nap",))

    for done, _ in enumerate(pool.map(act, jobs()), 1):
        assert pulled <= done + 6  # one in each of two processes, two waiting, one about to wait, one just done: not the whole list
    assert done == pulled == 24


def test_an_error_of_the_jobs_reaches_the_caller(pool: WorkerPool) -> None:
    def jobs() -> Iterator[Job[int, str]]:
        yield Job(1, "x", ("fine",))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(pool.map(act, jobs()))


def test_a_pool_closed_while_it_starts_leaves_no_word_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        with WorkerPool(2) as pool:
            pool.warm()
    time.sleep(0.5)
    assert capfd.readouterr().err == ""


def test_a_step_that_a_busy_machine_gives_little_time_goes_on() -> None:
    with WorkerPool(1) as pool:
        scores(pool, "one")  # a new worker's first step counts its imports
        pool.step_seconds = 1
        assert [score.note for score in scores(pool, "starve", "two")] == ["starve", "two"]
        assert [score.note for score in scores(pool, "hang")] == ["stopped: no result after 1 s"]


def test_processes_end_with_the_pool() -> None:
    with WorkerPool(1) as pool:
        assert len(scores(pool, "fine")) == 1
        ((process, _),) = pool._idle
    process.join(5)
    assert process.exitcode is not None


DRIVER = """
from bench.api import Job
from bench.engine.worker_pool import WorkerPool
import lingering

if __name__ == "__main__":
    with WorkerPool(1) as pool:
        list(pool.map(lingering.linger, iter([Job("key", "worker", ("step",))])))
"""
LINGERING = """
import os, time
from pathlib import Path
from bench.api import Score

def linger(payload, steps):
    Path("begun").write_text(str(os.getpid()))
    Path("begun").rename(payload)
    time.sleep(120)
    yield Score(1.0)
"""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "lingering.py").write_text(LINGERING)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    driver = subprocess.Popen([sys.executable, "driver.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    try:
        assert wait_until((tmp_path / "worker").exists, 300)  # imports, on a busy machine
    finally:
        driver.kill()
    try:
        driver.communicate(timeout=30)  # returns when no process has this pipe any more
    except subprocess.TimeoutExpired:
        os.kill(int((tmp_path / "worker").read_text()), signal.SIGKILL)
        pytest.fail("the worker goes on with its step")


def weigh(payload: dict[str, torch.Tensor], steps: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """What arrived under each name, after it was written to."""
    for step in steps:
        tensor = payload[step]
        before = tensor.double().tolist()
        tensor.zero_()
        yield before, tensor.dtype, tensor.shape, tensor.device.type


def test_tensors_of_any_kind_arrive_as_they_were_and_are_the_workers_own(pool: WorkerPool) -> None:
    whole = torch.arange(24.0).view(4, 6)
    sent = {
        "large": torch.linspace(-1, 1, 240_000)[None],
        "columns": whole[:, 1::2],
        "turned": whole.T,
        "empty": torch.zeros(1, 0),
        "codes": torch.arange(6).view(2, 3),
        "half": whole.bfloat16(),
        "lengths": torch.ones(2, dtype=torch.bool),
    }
    expected = {name: (tensor.double().tolist(), tensor.dtype, tensor.shape, "cpu") for name, tensor in sent.items()}
    ((_, found),) = pool.ask(weigh, iter([Job("key", sent, tuple(sent))]))
    assert dict(zip(sent, found, strict=True)) == expected
    assert whole.sum() == 276, "written to by another process"
