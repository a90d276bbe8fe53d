"""Rows of the hub by hf://: what is asked for comes, from the row where it was stopped, and is asked for once."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
import soundfile

from bench.api import Data, UserError
from bench.cli import main
from bench.data.audio import read_clip
from bench.data.manifests import fetch, here, open_data, told_data
from bench.data.public import hub as rows_of_hub
from bench.data.public import places
from bench.weights import licences
from tests.conftest import speech_like
from tests.hub import REVISION, Hub, serve

pa = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


def audio(seed: int) -> bytes:
    file = BytesIO()
    soundfile.write(file, speech_like(0.1, 16_000, seed).numpy(), 16_000, format="FLAC")
    return file.getvalue()


def table(first: int, count: int, **more: object) -> bytes:
    """Rows in groups of two."""
    lines = [
        {"id": f"utt{n}", "audio": {"bytes": audio(n), "path": f"{n}.flac"}, "transcript": f"text {n}", "speaker_id": n % 2} | more
        for n in range(first, first + count)
    ]
    file = BytesIO()
    parquet.write_table(pa.Table.from_pylist(lines), file, row_group_size=2)
    return file.getvalue()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        server.files |= {
            "datasets/o/n/data/test-00000-of-00002.parquet": table(0, 4),
            "datasets/o/n/data/test-00001-of-00002.parquet": table(4, 3),
            "datasets/o/n/README.md": b"# data",
        }
        yield server


def ids(data: Data) -> list[str]:
    return [clip.id for clip in data.clips]


def test_rows_are_fetched_once_and_need_no_server_afterwards(hub: Hub) -> None:
    name = "hf://o/n:test"
    with pytest.raises(UserError, match=f"{name} is not on this machine: bench data fetch"):
        open_data(name)
    data = told_data(name)
    assert data.name == name and ids(data) == [f"utt{n}" for n in range(7)] and here(name)
    assert [(clip.speaker, clip.text, clip.domain) for clip in data.clips][:2] == [("0", "text 0", "speech"), ("1", "text 1", "speech")]
    for clip in data.clips:
        assert read_clip(clip).sample_rate == 16_000 and REVISION in str(clip.path)
    hub.asked.clear()
    assert told_data(name) == data and ids(told_data("hf://o/n")) == ids(data) and not hub.asked


def test_the_first_rows_alone_are_read(hub: Hub) -> None:
    told = told_data("hf://o/n:test[:2]")
    assert ids(told) == ["utt0", "utt1"] and told.name == "hf://o/n:test[:2]"
    read = [asked for asked in hub.gets() if asked.method == "GET"]
    assert read and not [asked for asked in read if "00001-of" in asked.path] and all(asked.range for asked in read), "parts of one file"
    assert not here("hf://o/n:test[:3]") and here("hf://o/n:test[:1]")
    assert ids(told_data("hf://o/n:test[:5]")) == [f"utt{n}" for n in range(5)]
    assert ids(told_data("hf://o/n:test[:5]:2@seed=1")) == ids(told_data("hf://o/n:test[:5]", 2, seed=1))
    assert {clip.domain for clip in told_data("hf://o/n:test[:5]@domain=music").clips} == {"music"}


def test_a_fetch_that_broke_off_goes_on_at_the_row(hub: Hub, tmp_path: Path) -> None:
    place = "datasets/o/n/data/test-00001-of-00002.parquet"
    whole = hub.files[place]
    hub.files[place] = whole[:-20]
    with pytest.raises(UserError, match=r"test-00001-of-00002.parquet: cannot be read as Parquet"):
        fetch("hf://o/n:test")
    (manifest,) = (tmp_path / "cache").rglob("manifest.jsonl")
    assert len(manifest.read_text().splitlines()) == 4
    hub.files[place] = whole
    fetch("hf://o/n:test")
    assert ids(open_data("hf://o/n:test")) == [f"utt{n}" for n in range(7)]


def test_a_text_may_hold_any_sign_that_ends_a_line(hub: Hub) -> None:
    hub.files["datasets/o/signs/test.parquet"] = table(0, 2, text="one\u2028two\x85three")
    assert [clip.text for clip in told_data("hf://o/signs").clips] == ["one\u2028two\x85three"] * 2


def test_a_look_at_rows_that_another_process_writes_changes_nothing(hub: Hub, tmp_path: Path) -> None:
    fetch("hf://o/n:test[:2]")
    (manifest,) = (tmp_path / "cache").rglob("manifest.jsonl")
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + '{"path": "audio/ä'.encode()[:-1])
    half = manifest.read_bytes()
    assert here("hf://o/n:test[:2]") and not here("hf://o/n:test[:3]") and not here("hf://o/n:test")
    assert ids(told_data("hf://o/n:test[:2]")) == ["utt0", "utt1"] and manifest.read_bytes() == half
    assert ids(told_data("hf://o/n:test[:3]")) == ["utt0", "utt1", "utt2"] and manifest.read_bytes().startswith(whole)


def test_rows_that_the_hub_converted_are_read_at_the_commit_that_is_kept(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.hf_api import DatasetInfo, HfApi

    asked: list[object] = []

    def info(api: HfApi, repo: str, real: Callable[..., DatasetInfo] = HfApi.dataset_info, **words: object) -> DatasetInfo:
        found = real(api, repo, **words)
        asked.append(words["revision"])
        found.siblings = [] if words["revision"] == "main" else found.siblings
        return found

    monkeypatch.setattr(HfApi, "dataset_info", info)
    assert len(told_data("hf://o/n:test").clips) == 7 and asked[:2] == ["main", rows_of_hub.CONVERTED]
    assert hub.gets() and all(f"/resolve/{REVISION}/" in get.path for get in hub.gets())


@pytest.mark.parametrize("left", ["", '{"commit": "01', "null", '{"other": 1}'])
def test_a_broken_answer_of_the_hub_is_asked_for_again(hub: Hub, tmp_path: Path, left: str) -> None:
    fetch("hf://o/n:test[:1]")
    (kept,) = (tmp_path / "cache").rglob("refs/*")
    kept.write_text(left)
    assert not here("hf://o/n:test[:1]")
    assert ids(told_data("hf://o/n:test[:1]")) == ["utt0"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf://o/nowhere:test", r"hf://o/nowhere:test cannot be read from http://127.*(no such repository|404)"),
        ("hf://o/n:train", r"hf://o/n:train: which of its splits\? test: write hf://o/n:test"),
        ("hf://o/n/german:test", r"which of its configurations\? default"),
        ("hf://o", r"hf://o: write hf://OWNER/NAME:SPLIT"),
        ("hf://o/n:test[:0]", r"write hf://OWNER/NAME:SPLIT"),
        ("hf://o/texts:test", r"no files of Parquet are there"),
        ("hf://o/words:test", r"hf://o/words: test.parquet: no column of it holds audio"),
    ],
)
def test_what_cannot_be_had_is_one_line(hub: Hub, name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    hub.files["datasets/o/texts/README.md"] = b"# nothing"
    words = BytesIO()
    parquet.write_table(pa.Table.from_pylist([{"text": "x"}]), words)
    hub.files["datasets/o/words/test.parquet"] = words.getvalue()
    assert main(["data", "fetch", name]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.search(message, error), error


def test_the_licence_of_a_card_is_accepted_before_the_first_row(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(licences.ACCEPTED, "")
    hub.licence = "cc-by-nc-4.0"
    with pytest.raises(
        UserError, match=r"hf://o/n:test: CC-BY-NC-4.0: no commercial use \(https://huggingface.co/datasets/o/n\): .*--accept-licence"
    ):
        fetch("hf://o/n:test")
    assert not hub.gets()
    licences.accept(["CC-BY-NC-4.0"])
    fetch("hf://o/n:test[:1]")
    assert ids(open_data("hf://o/n:test[:1]")) == ["utt0"]


def test_gated_rows_ask_for_a_token_first(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "_token", lambda: None)
    hub.gated = True
    with pytest.raises(
        UserError, match=r"hf://o/n:test: licence: login needed .* set HF_TOKEN to a token of that account, or take other data"
    ):
        fetch("hf://o/n:test")
    assert not hub.gets()


def test_a_server_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(UserError, match=r"hf://o/n:test cannot be read from http://127.0.0.1:9 \("):
        fetch("hf://o/n:test")


def test_sets_of_the_hub_say_what_its_rows_do_not(hub: Hub) -> None:
    hub.files["datasets/facebook/multilingual_librispeech/german/test-00000-of-00001.parquet"] = table(0, 2)
    data = told_data("mls/german")
    assert data.name == "mls/german" and {clip.language for clip in data.clips} == {"de"}
    assert "has 2 of the 3394 clips of mls/german" in data.notes[0]
    hub.files |= {
        f"datasets/voidful/codec-superb-tiny/data/{split}-00000-of-00001.parquet": table(first, 1, category=split)
        for first, split in enumerate(("audio", "music", "speech"))
    }
    assert [clip.domain for clip in told_data("codec-superb-tiny").clips] == ["general", "music", "speech"]
    wanted = places.named("mls/german")
    assert wanted and wanted.part.hub == "facebook/multilingual_librispeech/german:test"


def test_names_of_files_tell_configurations_and_splits() -> None:
    files = ["data/test-00000-of-00001.parquet", "de_de/train-00000-of-00002-0a1b2c.parquet", "en/test/0000.parquet", "validation.parquet"]
    assert rows_of_hub._by_split([*files, "x.csv"]) == {
        "default": {"test": [files[0]], "validation": [files[3]]},
        "de_de": {"train": [files[1]]},
        "en": {"test": [files[2]]},
    }
