"""results/: rows survive a kill, a second writer and a torn line; what cannot be written is said in one line."""

import json
import math
import multiprocessing
import os
import resource
from pathlib import Path

import pytest

from bench.api import TOKENIZER_FAILED, Row, UserError
from bench.records.writer import COLUMNS, Store, key_of, read_rows


def rows(clip: str, value: float = 1.5) -> list[Row]:
    return [
        Row(clip, "speech", "anna", "stoi", value),
        Row(clip, "speech", "anna", "pesq_wb", math.nan, 1.0, 'silent, reference\n"quoted"'),
        Row(clip, "speech", "anna", "seconds", 2.0),
    ]


def open_store(root: Path, fresh: bool = False, **identity: object) -> Store:
    return Store(root, "reconstruction", "codec@v", {"seed": 0, **identity}, {"machine": "here"}, fresh)


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(rows("a", 1 / 3))
    found = read_rows(open_store(tmp_path).path)
    assert found[0] == rows("a", 1 / 3)[0]
    assert math.isnan(found[1].value) and found[1].note == 'silent, reference "quoted"'


def test_a_clip_is_done_when_its_last_row_is_there(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(rows("a"))
    store.append(rows("b")[:2])
    assert open_store(tmp_path).done() == {"a"}


@pytest.mark.parametrize("cut", [1, 5, 30, 60])
def test_a_torn_end_is_healed(tmp_path: Path, cut: int) -> None:
    store = open_store(tmp_path)
    store.append(rows("a"))
    store.append(rows("b"))
    os.truncate(store.path, store.path.stat().st_size - cut)
    again = open_store(tmp_path)
    assert again.done() == {"a"}
    again.append(rows("b"))
    assert open_store(tmp_path).done() == {"a", "b"}
    assert len(read_rows(store.path)) == 6


def test_rows_written_twice_count_once_and_are_sorted(tmp_path: Path) -> None:
    one, two = open_store(tmp_path), open_store(tmp_path)
    one.append(rows("b"))
    two.append(rows("a"))
    two.append(rows("b"))
    one.finish()
    finished = read_rows(one.path)
    assert [row.clip for row in finished] == ["a"] * 3 + ["b"] * 3
    assert len(one.path.read_text().splitlines()) == 7
    assert one.path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_rows_are_sealed_until_others_follow(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(rows("a"))
    assert not store.sealed
    store.finish()
    assert store.sealed and open_store(tmp_path).sealed
    store.append(rows("b"))
    assert not store.sealed and not open_store(tmp_path).sealed


def test_corpus_rows_go_with_the_clips_that_they_lack(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    failed = [*rows("b")[:2], Row("b", "speech", "anna", "seconds", 2.0, note=TOKENIZER_FAILED + "boom")]
    for some in (rows("a"), failed, [Row("*", "speech", "", "kbps", 1.5)]):
        store.append(some)
    store.finish()
    again = open_store(tmp_path)
    assert (again.done(), again.pooled(), again.sealed) == ({"a"}, set(), False)


def write(root: Path, name: str) -> None:
    store = open_store(root)
    for i in range(60):
        store.append(rows(f"{name}{i}"))
        if i % 20 == 0:
            store.finish()


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write, args=(tmp_path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert open_store(tmp_path).done() == {f"{name}{i}" for name in "abc" for i in range(60)}


def test_unlike_identities_never_share_a_file(tmp_path: Path) -> None:
    assert open_store(tmp_path, seed=0).path != open_store(tmp_path, seed=1).path


def test_the_key_is_of_the_content_not_of_its_order() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1}) != key_of({"a": 1, "b": [3]})


def test_fresh_forgets(tmp_path: Path) -> None:
    open_store(tmp_path).append(rows("a"))
    assert open_store(tmp_path, fresh=True).done() == set()


def test_the_record_says_what_ran_and_where(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    record = json.loads((store.folder / "run.json").read_text())
    assert record["identity"] == {"seed": 0} and record["machine"] == "here" and record["key"] == store.key


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(rows("a"))
    with store.path.open("a") as file:
        file.write("b,speech,anna,stoi,high,1.0,\n")
    with pytest.raises(UserError, match=r"rows.csv:5: not a row .*high.*--fresh"):
        open_store(tmp_path)


@pytest.mark.parametrize("room", [0, 1, 50, 100])
def test_a_disk_that_is_full_is_one_line_and_keeps_the_file_whole(tmp_path: Path, room: int) -> None:
    store = open_store(tmp_path)
    store.append(rows("a"))
    before = store.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))  # writes fail beyond it, after a part of them has gone through
    try:
        with pytest.raises(UserError, match="File too large: nothing lost, 1 finished clips are kept"):
            store.append(rows("b"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.path.read_bytes() == before
    store.append(rows("b"))
    assert open_store(tmp_path).done() == {"a", "b"}


def test_a_results_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(UserError, match="results"):
        open_store(tmp_path / "results")
