"""rows.parquet holds what rows.csv holds."""

import hashlib
import math
from pathlib import Path

import pytest

from bench import registry
from bench.api import Row
from bench.data.manifests import open_data
from bench.engine.run import Options, run
from bench.records import parquet
from bench.records.writer import COLUMNS, SEAL, Store, read_rows

pq = pytest.importorskip("pyarrow.parquet")


def rows_in(path: Path) -> list[Row]:
    table = pq.read_table(path)
    assert tuple(table.column_names) == COLUMNS
    return [Row(**row) for row in table.to_pylist()]


def test_every_row_is_the_same_to_the_last_digit(tmp_path: Path) -> None:
    store = Store(tmp_path, "toy", "codec@v", {}, {})
    for name in ("nan", "", "NULL", 'a "quoted", ä', "1"):
        clip = f"clip {name}"
        store.append([Row(clip, "speech", name, "stoi", 1 / 3, 2.5, name), Row(clip, "speech", name, "wer", math.nan, 1, "silent")])
        store.append([Row(clip, "speech", name, "gain", -math.inf), Row(clip, "speech", name, "seconds", 1e-300)])
    store.finish()
    assert list(map(repr, rows_in(parquet.write(store.path)))) == list(map(repr, read_rows(store.path)))


def test_a_large_run_has_one_that_belongs_to_its_rows_and_a_small_one_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, suite = open_data("mini", 2), registry.load_suite("codes")
    (small,) = run([registry.variant("mulaw")], suite, data, Options(tmp_path / "small", workers=1))
    assert not (small.folder / "rows.parquet").exists()
    monkeypatch.setattr(parquet, "LARGE", small.digest.rows)
    (large,) = run([registry.variant("mulaw")], suite, data, Options(tmp_path / "large", workers=1))
    assert not large.notes and list(map(repr, rows_in(large.folder / "rows.parquet"))) == list(map(repr, large.rows))
    stated = pq.read_schema(large.folder / "rows.parquet").metadata[SEAL.encode()].decode()
    assert stated == hashlib.sha256((large.folder / "rows.csv").read_bytes()).hexdigest()


def test_without_pyarrow_none_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parquet.wanted(parquet.LARGE) and not parquet.wanted(parquet.LARGE - 1)
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    assert not parquet.wanted(parquet.LARGE)
