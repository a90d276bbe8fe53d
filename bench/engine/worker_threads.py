"""Threads that share one line of work. Each owns what it works with, as a tokenizer, which is never used by two at once."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Owned = TypeVar("Owned")
Result = TypeVar("Result")


def staged(
    items: Iterable[Item], own: Callable[[], Owned], work: Callable[[Owned, Item], Iterable[Result]], threads: int
) -> Iterator[Result]:
    """What work(owned, item) gives for every item, in the order of completion; items are pulled only as fast as results are read.

    `own` is called by each thread once, when it has its first item. What either raises is raised here.
    """
    line = _Shared(items)
    done: queue.Queue[Result | BaseException | None] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def serve() -> None:
        try:
            if (item := line.take()) is not None:
                owned = own()
                while item is not None and not stop.is_set():
                    for result in work(owned, item):
                        _put(done, result, stop)
                    item = line.take()
            _put(done, None, stop)
        except BaseException as error:  # carried to the thread that reads, and raised there
            _put(done, error, stop)

    running = [threading.Thread(target=serve, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        for _ in running:
            while (result := done.get()) is not None:
                if isinstance(result, BaseException):
                    raise result
                yield result
        for thread in running:
            thread.join()  # one that still frees its tensors when the interpreter ends would abort the process
    finally:
        stop.set()


def ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """The same items, read ahead by a thread so that nobody waits for files."""
    ready: queue.Queue[Item | BaseException | None] = queue.Queue(maxsize=count)
    stop = threading.Event()

    def fill() -> None:
        try:
            for item in items:
                _put(ready, item, stop)
            _put(ready, None, stop)
        except BaseException as error:  # as above
            _put(ready, error, stop)

    threading.Thread(target=fill, daemon=True).start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def in_order(items: Iterator[Item], work: Callable[[Item], Iterable[Result]], count: int) -> Iterator[Result]:
    """What work(item) gives for every item, in the order of the items, `count` of them at a time: where one nears its end and keeps
    fewer cores busy, the next has begun. 1: all is done by this thread, when it is asked for.
    """
    if count == 1:
        for item in items:
            yield from work(item)
        return
    with ThreadPoolExecutor(count) as threads:
        running: deque[Future[Iterable[Result]]] = deque()
        try:
            for item in items:
                running.append(threads.submit(work, item))
                if len(running) == count:
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        finally:
            for one in running:
                one.cancel()


class _Shared(Generic[Item]):
    """An iterator that several threads take from."""

    def __init__(self, items: Iterable[Item]):
        self._items, self._lock = iter(items), threading.Lock()

    def take(self) -> Item | None:
        with self._lock:
            return next(self._items, None)


def _put(where: queue.Queue, item: object, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            return where.put(item, timeout=0.2)
        except queue.Full:
            continue
