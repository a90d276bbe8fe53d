"""What tables say of a run is the same whether its rows are in memory or read one after the other, and never older than they are."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api import TOKENIZER_FAILED, Metric, Row
from bench.records import digest as digests
from bench.records.digest import FILE, digest, of_rows
from bench.records.writer import LAST, Odd, Store, each_row, failed_clips, order, read_rows
from bench.statistics.bootstrap import reasons, summarise

METRICS = (
    Metric("stoi", "", "higher", {"speech": 16_000}, 0.01, None, span=(0.0, 1.0)),
    Metric("wer", "", "lower", {"speech": 16_000}, 0.01, None, span=(0.0, math.inf)),
    Metric("gain", "dB", "zero", {"speech": 16_000, "music": 16_000}, 0.1, None),
    Metric("kbps", "", "lower", {"speech": 16_000}, 0.1, None, per="corpus"),
)


def rows_of(clip: str, domain: str, speaker: str, chance: random.Random) -> list[Row]:
    lost = chance.random() < 0.1
    found = [
        Row(clip, domain, speaker, "stoi", math.nan if lost else chance.random(), note="silent" if lost else ""),
        Row(clip, domain, speaker, "wer", chance.random() * 2, chance.randint(1, 9)),
        Row(clip, domain, speaker, "gain", chance.gauss(0, 3)),
        Row(clip, domain, speaker, LAST, 1.0, note=chance.choice(["", "", "", "its end is missing"])),
    ]
    return found if domain == "speech" else found[2:]


def store_of(root: Path, clips: int, speakers: int, seed: int = 0) -> Store:
    """A store to which clips came in no order, some twice."""
    chance = random.Random(seed)
    store = Store(root, "toy", "codec@v", {"seed": seed}, {})
    names = [f"{i:05}ä" if i % 3 else f"Z{i}" for i in range(clips)]
    for name in [*chance.sample(names, clips), *chance.sample(names, clips // 5)]:
        speaker = f"s{sum(map(ord, name)) % speakers}" if speakers and chance.random() < 0.9 else ""
        store.append(rows_of(name, "music" if name.endswith("7ä") else "speech", speaker, chance))
    store.append([Row("*", "speech", "", "kbps", 1.5), Row("*", "music", "", "kbps", math.nan, note="raw samples")])
    return store


@pytest.mark.parametrize(("clips", "speakers"), [(1, 0), (3, 2), (40, 0), (200, 12), (700, 300)])
def test_finished_rows_are_those_that_sorting_in_memory_gives(tmp_path: Path, clips: int, speakers: int) -> None:
    store = store_of(tmp_path, clips, speakers)
    expected = sorted(read_rows(store.path), key=order)
    store.finish()
    assert list(map(repr, each_row(store.path))) == list(map(repr, expected))


@pytest.mark.parametrize("buffer", [1, 7, digests.BUFFER])
@pytest.mark.parametrize(("clips", "speakers"), [(1, 0), (3, 2), (40, 0), (200, 12), (700, 300)])
def test_a_digest_is_to_the_last_digit_what_rows_in_memory_give(
    tmp_path: Path, clips: int, speakers: int, buffer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "BUFFER", buffer)
    store = store_of(tmp_path, clips, speakers)
    store.finish()
    rows, found = read_rows(store.path), digest(each_row(store.path), METRICS)
    assert list(map(repr, found.summaries)) == list(map(repr, summarise(rows, METRICS)))
    assert list(found.missing) == reasons(rows) and found.clips == clips
    assert list(map(repr, found.pooled)) == [repr(row) for row in rows if row.clip == "*"]
    noted = [row.clip for row in rows if row.metric == LAST and row.note]
    assert found.odd == ((Odd("its end is missing", len(noted), tuple(noted[:3])),) if noted else ())


def test_failed_clips_are_in_the_digest() -> None:
    rows = [Row(c, "speech", "", LAST, 1.0, note=TOKENIZER_FAILED + "boom" if c == "b" else "") for c in "abc"]
    assert digest(rows, METRICS).failed == {"b": "boom"} == failed_clips(rows)


def test_a_kept_digest_is_taken_for_its_own_rows_and_metrics_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(tmp_path, 30, 6)
    store.finish()
    first = of_rows(store.path, METRICS)
    read: list[Path] = []

    def noted(path: Path):
        read.append(path)
        return each_row(path)

    monkeypatch.setattr(digests, "each_row", noted)
    assert repr(of_rows(store.path, METRICS)) == repr(first) and not read
    of_rows(store.path, [replace(METRICS[0], span=(0.0, 2.0)), *METRICS[1:]])
    assert len(read) == 1
    store.path.write_text(store.path.read_text().replace(",stoi,0.", ",stoi,0.0"))
    assert of_rows(store.path, METRICS).summaries != first.summaries and len(read) == 2


def test_rows_that_another_process_wrote_after_the_end_count_once(tmp_path: Path) -> None:
    store = store_of(tmp_path, 30, 6)
    store.finish()
    again = [replace(row, value=row.value + 1) for row in read_rows(store.path) if row.clip in ("Z3", "*")]
    store.append(again)
    late = of_rows(store.path, METRICS)
    assert not store.path.with_name(FILE).exists()  # of rows that are not finished
    store.finish()
    assert repr(late) == repr(of_rows(store.path, METRICS)) == repr(digest(each_row(store.path), METRICS))


@pytest.mark.parametrize("broken", ["", "{}", '{"made_of": 1}', "[]", "not JSON"])
def test_a_broken_digest_is_made_anew(tmp_path: Path, broken: str) -> None:
    store = store_of(tmp_path, 30, 6)
    store.finish()
    first = of_rows(store.path, METRICS)
    place = store.path.with_name(FILE)
    before = place.read_text()
    whole = json.loads(before)
    for content in (broken, json.dumps(whole | {"digest": {}}), json.dumps(whole | {"made_of": "0" * 64})):
        place.write_text(content)
        assert repr(of_rows(store.path, METRICS)) == repr(first)
        assert place.read_text() == before


def test_names_that_end_alike_keep_their_order() -> None:
    labels = ["b", "a", "ä", "\U0001f600", "\uffff", "", "aa", "a"]
    names = digests._Names()
    for label in labels:
        names.add(label)
    places = names.places().tolist()
    assert sorted(range(8), key=lambda i: (places[i], i)) == sorted(range(8), key=lambda i: (labels[i], i)) and places[1] == places[7]
