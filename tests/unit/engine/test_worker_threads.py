"""Work that overlaps and still comes back in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bench.engine.worker_threads import in_order


def numbers(pulled: list[int], count: int = 6) -> Iterator[int]:
    for i in range(count):
        pulled.append(i)
        yield i


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    assert list(in_order(numbers([]), lambda i: [i, 10 * i], count)) == [x for i in range(6) for x in (i, 10 * i)]


def test_so_many_are_worked_on_at_a_time_and_no_more_are_pulled() -> None:
    meeting, pulled = threading.Barrier(2, timeout=20), list[int]()

    def work(item: int) -> list[int]:
        meeting.wait()  # broken, unless another is at work meanwhile
        return [item]

    found = in_order(numbers(pulled), work, 2)
    assert next(found) == 0 and pulled == [0, 1]
    assert list(found) == [1, 2, 3, 4, 5]


def test_what_work_raises_is_raised_in_its_place() -> None:
    def work(item: int) -> list[int]:
        if item == 2:
            raise ValueError("the third")
        return [item]

    found = in_order(numbers([]), work, 2)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ValueError, match="the third"):
        next(found)


def test_one_at_a_time_is_done_by_the_thread_that_asks() -> None:
    here = threading.current_thread()
    assert all(thread is here for thread in in_order(numbers([]), lambda _: [threading.current_thread()], 1))
