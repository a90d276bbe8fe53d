"""A finished run is found again without any work, and one that lacks anything, or was changed, is not taken for it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from bench import registry
from bench.api import TOKENIZER_FAILED, Data, Row, Suite
from bench.catalog import index, names
from bench.data.manifests import open_data
from bench.engine.run import run
from bench.records.finished import CPU_SECONDS, Run, finished
from bench.records.identity import identity
from bench.records.options import Options
from bench.records.writer import LAST, SEAL, Store, noted, read_rows, write_rows

MULAW = registry.variant("mulaw")
LIGHT = ("snr", "kbps_packed", "kbps_nominal", "kbps_entropy")


@pytest.fixture(scope="module")
def suite() -> Suite:
    whole = registry.load_suite("reconstruction")
    return replace(whole, metrics=tuple(metric for metric in whole.metrics if metric.name in LIGHT), headline=LIGHT[:2])


@pytest.fixture(scope="module")
def data() -> Data:
    return open_data("mini", 3)


@pytest.fixture
def made(suite: Suite, data: Data, tmp_path: Path) -> Run:
    (done,) = run([MULAW], suite, data, Options(tmp_path, workers=1))
    return done


def test_what_is_found_is_what_the_run_gave(made: Run, suite: Suite, data: Data, tmp_path: Path) -> None:
    again = finished(MULAW, suite, data, Options(tmp_path))
    assert again is not None and again.fresh_clips == 0 and made.fresh_clips == 3
    assert repr(again.digest) == repr(made.digest) and again.folder == made.folder and again.rows == made.rows
    (third,) = run([MULAW], suite, data, Options(tmp_path, workers=1))
    assert third == again


@pytest.mark.parametrize("stopped", ["before its first rows", "between clips"])
def test_what_a_run_in_one_go_cost_is_noted_and_of_one_in_parts_nothing(
    made: Run, suite: Suite, data: Data, tmp_path: Path, stopped: str
) -> None:
    def cost() -> float | None:
        return noted(json.loads((made.folder / "run.json").read_text()), CPU_SECONDS)

    whole = cost()
    assert whole is not None and 0.01 < whole < 100
    rows = made.folder / "rows.csv"
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join(lines[:1] if stopped == "before its first rows" else [line for line in lines if data.clips[1].id not in line]))
    list(run([MULAW], suite, data, Options(tmp_path, workers=1)))
    assert math.isnan(cost() or 0.0)


@pytest.mark.parametrize("options", [{"fresh": True}, {"save_audio": Path("heard")}, {"seed": 1}])
def test_what_is_asked_anew_is_not_found(made: Run, suite: Suite, data: Data, options: dict[str, object]) -> None:
    assert finished(MULAW, suite, data, replace(Options(made.folder.parents[1]), **options)) is None


def test_other_data_are_not_found(made: Run, suite: Suite) -> None:
    assert finished(MULAW, suite, open_data("mini", 2), Options(made.folder.parents[1])) is None


@pytest.mark.parametrize("change", ["a line less", "another value", "no seal", "no run.json"])
def test_a_run_that_was_changed_is_not_found(made: Run, suite: Suite, data: Data, change: str) -> None:
    rows, record = made.folder / "rows.csv", made.folder / "run.json"
    if change == "a line less":
        rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-1]))
    elif change == "another value":
        rows.write_text(rows.read_text().replace("128.0", "12.0"))
    elif change == "no seal":
        record.write_text(json.dumps({name: value for name, value in json.loads(record.read_text()).items() if name != "rows_sha256"}))
    else:
        record.unlink()
    assert finished(MULAW, suite, data, Options(made.folder.parents[1])) is None


def test_a_clip_that_lacks_its_rows_runs_again_and_the_rows_are_as_before(made: Run, suite: Suite, data: Data, tmp_path: Path) -> None:
    rows = made.folder / "rows.csv"
    whole = rows.read_text()
    rows.write_text("".join(line for line in whole.splitlines(keepends=True) if not line.startswith(data.clips[1].id)))
    (again,) = run([MULAW], suite, data, Options(tmp_path, workers=1))
    assert again.fresh_clips == 1 and again.digest.clips == 3

    def untimed(text: str) -> list[str]:
        return [line for line in text.splitlines() if ",seconds," not in line]

    assert untimed(rows.read_text()) == untimed(whole)


class Killed(Exception):
    """Stands for kill -9."""


def failed_on(made: Run, clip: str) -> None:
    """Makes it a finished run whose tokenizer failed on a clip: its corpus rows are of the others."""

    def then(row: Row) -> Row:
        if (row.clip, row.metric) == (clip, LAST):
            return replace(row, note=TOKENIZER_FAILED + "boom")
        return replace(row, value=row.value + 10) if row.clip == "*" else row

    seal = write_rows(made.folder / "rows.csv", map(then, read_rows(made.folder / "rows.csv")))
    record = made.folder / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {SEAL: seal}))


@pytest.mark.parametrize("killed", ["before its corpus rows", "before its rows are sorted"])
def test_a_resumed_run_that_was_killed_at_its_end_gives_what_one_that_was_not_gives(
    made: Run, suite: Suite, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    failed_on(made, data.clips[1].id)
    append = Store.append

    def until_corpus(store: Store, rows: list[Row]) -> None:
        if rows[0].clip == "*":
            raise Killed
        append(store, rows)

    def unsorted(store: Store) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Store, *(("append", until_corpus) if killed == "before its corpus rows" else ("finish", unsorted)))
        with pytest.raises(Killed):
            list(run([MULAW], suite, data, Options(tmp_path, workers=1)))
    (again,) = run([MULAW], suite, data, Options(tmp_path, workers=1))
    assert again.fresh_clips == 0 and not again.failed and repr(again.digest) == repr(made.digest)
    found = finished(MULAW, suite, data, Options(tmp_path))
    assert found is not None and repr(found.digest) == repr(made.digest)


def test_the_identity_is_known_from_the_index_alone(data: Data) -> None:
    for name in ("reconstruction", "codes", "robustness", "mcd"):
        whole, known = registry.load_suite(name), index.suite(name).suite()
        options = Options()
        assert identity(names.variant("mulaw"), known, data, options) == identity(MULAW, whole, data, options)
        assert known.metrics == tuple(replace(metric, score=None) for metric in whole.metrics) and known.headline == whole.headline


def test_phones_are_part_of_the_identity_of_the_suite_that_reads_them(data: Data) -> None:
    without = replace(data, clips=tuple(replace(clip, alignment=None) for clip in data.clips))
    codes = index.suite("codes").suite()
    assert identity(MULAW, codes, data, Options()) != identity(MULAW, codes, without, Options())


def test_a_judge_in_half_precision_makes_other_runs_on_a_gpu_and_no_other_judge_does() -> None:
    data = open_data("mini", 2)
    facts = {
        name: [identity(MULAW, registry.load_suite(name), data, Options(device=device)) for device in ("cpu", "cuda:1")]
        for name in ("asr", "reconstruction")
    }
    assert facts["reconstruction"][0] == facts["reconstruction"][1]
    assert facts["asr"][1] == {**facts["asr"][0], "judged_on": "cuda"}
