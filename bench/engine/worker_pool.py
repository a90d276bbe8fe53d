"""A pool of processes that score clips, where a process that dies or hangs costs the one score it was at.

concurrent.futures would lose the whole pool to one segmentation fault (PESQ's C code has one), and cannot stop a task that hangs. Here
each process has a thread of this process that feeds it. A job is a list of steps; results come back step by step, so the
step that killed a process is known: it becomes a Failure (a score: NaN with a note), and a fresh process goes on with the next.
"""

from __future__ import annotations

import io
import math
import multiprocessing
import multiprocessing.util
import os
import pickle
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType

from bench.api import Failure, Job, Key, Payload, Result, Score, Task


class Closed(Exception):
    """The pool was closed while a thread waited."""


PROC = Path("/proc")  # of Linux
WINDOWS = 20  # of a step's time limit: the longest that a busy machine may take for one that goes on
LONGEST_FOLDER = 60  # bytes of its path: a socket's name may have about 100
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")

# fork would copy the codec's threads and their locks; a fork server has none, and starts a process in milliseconds
FORKSERVER = "forkserver" in multiprocessing.get_all_start_methods()


def start_server(*modules: str) -> None:
    """Begins to import what workers need, in a process of its own: worth doing while this one still imports its own part."""
    if FORKSERVER:
        _make_room_for_sockets()
        multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
        forkserver.ensure_running()


@lru_cache(maxsize=1)
def _make_room_for_sockets() -> None:
    """A temporary folder for multiprocessing that leaves room for the names of its sockets, where the user's own has too long a path."""
    usual = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER:
        return
    try:
        tempfile.tempdir = next((folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK)), usual)
        multiprocessing.util.get_temp_dir()  # made now, and kept for the life of the process
    finally:
        tempfile.tempdir = usual


@contextmanager
def _without_main() -> Iterator[None]:
    """A new process would run the user's script again, as multiprocessing does for the sake of functions in it; workers need none."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class _Packer(pickle.Pickler):
    """Writes the samples of tensors as they lie. What torch does instead, memory that is made, mapped and handed over through a socket for
    every tensor, takes a CPU several times as long."""

    def reducer_override(self, obj: object) -> tuple[Callable[..., object], tuple[object]]:
        """What makes a plain tensor again; the rest is pickled as ever."""
        import torch

        if type(obj) is torch.Tensor and obj.device.type == "cpu" and obj.dtype in (torch.float32, torch.int64) and not obj.requires_grad:
            return torch.from_numpy, (obj.contiguous().numpy(),)
        return NotImplemented


def _send(pipe: Connection, message: object) -> None:
    """What the other end's `recv` gives."""
    written = io.BytesIO()
    _Packer(written, 5).dump(message)  # of protocol 5: an array arrives in memory that may be written to, without another copy
    pipe.send_bytes(written.getbuffer())


class WorkerPool:
    """`workers` processes; a step that takes `step_seconds` of CPU time, or so long without any, is killed. Use as a context manager."""

    def __init__(self, workers: int, step_seconds: float = 120.0):
        self.workers, self.step_seconds = workers, step_seconds
        _make_room_for_sockets()
        self._context = multiprocessing.get_context("forkserver") if FORKSERVER else multiprocessing.get_context("spawn")
        self._stop = threading.Event()
        self._idle: list[tuple[BaseProcess, Connection]] = []
        self._running: list[BaseProcess] = []
        self._ended = 0.0  # CPU seconds of those that were stopped
        self._lock = threading.Lock()
        self._starting = threading.Lock()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._starting, self._lock:  # a server that is left in the middle of a start would complain on the terminal
            for process, pipe in self._idle:
                pipe.close()
                process.kill()
            self._idle.clear()

    def warm(self) -> None:
        """Starts the processes in the background, while the codec loads."""

        def start_all() -> None:
            try:
                for _ in range(self.workers):
                    self._put_back(self._start())
            except (Closed, OSError):  # the thread that needs a process will fail in the same way, and tell
                return

        threading.Thread(target=start_all, daemon=True).start()

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far, but for those that died; NaN where the system does not tell."""
        with self._starting:
            return self._ended + sum(_cpu_seconds(process.pid) for process in self._running) if PROC.exists() else math.nan

    def map(self, task: Task[Payload, Score], jobs: Iterator[Job[Key, Payload]]) -> Iterator[tuple[Key, list[Score]]]:
        """Scores of every job as they are done, in any order. Pulls jobs only as fast as processes take them."""
        for key, results in self.ask(task, jobs):
            yield key, [Score(float("nan"), note=r.note) if isinstance(r, Failure) else r for r in results]

    def ask(self, task: Task[Payload, Result], jobs: Iterator[Job[Key, Payload]]) -> Iterator[tuple[Key, list[Result | Failure]]]:
        """The same for results of any type that can be sent from process to process."""
        todo: queue.Queue[Job[Key, Payload] | None] = queue.Queue(maxsize=2)
        done: queue.Queue[tuple[Key, list[Result | Failure]] | BaseException | None] = queue.Queue()
        over = threading.Event()

        def feed() -> None:
            try:
                for job in jobs:
                    self._put(todo, job, over)
            except Closed:
                return
            except BaseException as error:  # carried to the thread that reads the results, and raised there
                done.put(error)
            with suppress(Closed):  # nobody waits any more
                for _ in range(self.workers):
                    self._put(todo, None, over)

        threads = [threading.Thread(target=self._attend, args=(task, todo, done, over), daemon=True) for _ in range(self.workers)]
        threads.append(threading.Thread(target=feed, daemon=True))
        for thread in threads:
            thread.start()
        try:
            for _ in range(self.workers):
                while (result := done.get()) is not None:
                    if isinstance(result, BaseException):
                        raise result
                    yield result
        finally:
            over.set()

    def _put(self, where: queue.Queue, item: object, over: threading.Event) -> None:
        while True:
            if self._stop.is_set() or over.is_set():
                raise Closed
            try:
                return where.put(item, timeout=0.2)
            except queue.Full:
                continue

    def _attend(self, task: Task, todo: queue.Queue, done: queue.Queue, over: threading.Event) -> None:
        worker = None
        try:
            while not self._stop.is_set() and not over.is_set():
                try:
                    job = todo.get(timeout=0.2)
                except queue.Empty:
                    continue
                if job is None:
                    break
                worker, results = self._work(task, job, worker or self._take())
                done.put((job.key, results))
            done.put(None)
        except Closed:
            return
        except BaseException as error:  # as above
            done.put(error)
        finally:
            if worker is not None:
                self._put_back(worker)

    def _work(self, task: Task, job: Job, worker: tuple[BaseProcess, Connection]) -> tuple[tuple[BaseProcess, Connection], list]:
        results: list[object] = []
        while len(results) < len(job.steps):
            before = len(results)
            steps = job.steps[before:]
            failure = self._converse(worker, (task, job.payload, steps), len(steps), results)
            if failure:
                results.append(failure)
                worker = self._renew(worker)
        return worker, results

    def _converse(self, worker: tuple[BaseProcess, Connection], message: object, expected: int, results: list[object]) -> Failure | None:
        """Sends a job and collects its results; the reason why it ended early."""
        process, pipe = worker
        try:
            _send(pipe, message)
            for _ in range(expected):
                if not _answers(process, pipe, self.step_seconds):
                    return Failure(f"stopped: no result after {self.step_seconds:g} s")
                answer = pipe.recv()
                if isinstance(answer, Failure):
                    return answer
                results.append(answer)
        except (EOFError, OSError):
            process.join(5)
            return Failure(_death(process.exitcode))
        return None

    def _start(self) -> tuple[BaseProcess, Connection]:
        with self._starting:
            if self._stop.is_set():
                raise Closed
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
            with _without_main():
                process.start()
            theirs.close()
            self._running.append(process)
            return process, ours

    def _take(self) -> tuple[BaseProcess, Connection]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _put_back(self, worker: tuple[BaseProcess, Connection]) -> None:
        with self._lock:
            if not self._stop.is_set():
                return self._idle.append(worker)
        worker[1].close()
        worker[0].kill()

    def _renew(self, worker: tuple[BaseProcess, Connection]) -> tuple[BaseProcess, Connection]:
        process, pipe = worker
        pipe.close()
        with self._starting:
            self._ended += _cpu_seconds(process.pid)
            self._running.remove(process)
        process.kill()
        process.join(5)
        return self._start()


def _answers(process: BaseProcess, pipe: Connection, seconds: float) -> bool:
    """Whether a step ends: it may use so many seconds of CPU time, however long a busy machine takes to give it them; not without any."""
    begun = before = _cpu_seconds(process.pid)
    for _ in range(WINDOWS):
        if pipe.poll(seconds):
            return True
        now = _cpu_seconds(process.pid)
        if now - begun >= 0.9 * seconds or now - before <= 0.01 * seconds:  # it had its time; or it sleeps
            return False
        before = now
    return False


def _cpu_seconds(pid: int | None) -> float:
    """What a process has used so far; 0 where systems do not tell, and a step's time is that of the clock then."""
    with suppress(OSError, ValueError, IndexError):
        fields = (PROC / f"{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"worker process died: {signal.Signals(-code).name}"
    return f"worker process ended with exit code {code}"


def _end_with_parent() -> None:
    """Ends this process as soon as the parent is gone: one that was killed cannot say so, and a step may have minutes left."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)


def _serve(pipe: Connection) -> None:
    """A worker's life: a job in, its results out one by one, until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)  # as many processes as cores: more threads would only wait for each other
    while True:
        try:
            task, payload, steps = pipe.recv()
            try:
                for result in task(payload, steps):
                    pipe.send(result)
            except Exception as error:  # a metric may be anyone's code: its failure costs one score, and is told
                pipe.send(Failure(f"{type(error).__name__}: {' '.join(str(error).split())}"))
        except (EOFError, OSError):
            return
