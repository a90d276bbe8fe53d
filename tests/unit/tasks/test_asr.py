"""The asr suite as the engine runs it, with a recognizer made here: each word is a tone, so that what is heard follows from the audio."""

import csv
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import jiwer
import pytest
import soundfile
import torch
from torch import Tensor

from bench import registry
from bench.api import Clip, Codebook, Data, Spec, UserError, Variant
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.engine.worker_pool import start_server
from bench.evaluators import asr
from bench.evaluators.asr import AsrJudge, Recognizer
from bench.evaluators.cache import Answers
from bench.tasks.asr import suite
from tests.one_run import column, mean, once

RATE = 16_000
WORD = RATE // 20  # samples of a word
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
NAMES = ("wer_tones", "cer_tones", "wer_tones_vs_original", "wer_tones_original", "wer_tones_delta")


@dataclass(frozen=True)
class Tones:
    """Hears a tone of 400 k Hz as word k; takes five for four; `heard` is told the length of everything."""

    heard: list[int] = field(default_factory=list)
    key: str = "v1"
    in_workers: bool = False
    unknown: Mapping[str, int] = field(default_factory=dict)

    def hears(self, language: str) -> bool:
        return language == "en"

    def transcribe(self, wav: Tensor, language: str) -> str:
        assert language == "en"
        self.heard.append(len(wav))
        if len(wav) == 13 * WORD:
            raise RuntimeError("thirteen is\ntoo much")
        if len(wav) == 12 * WORD:
            os._exit(3)
        pieces = wav[: len(wav) // WORD * WORD].reshape(-1, WORD)
        found = [int(piece.abs().argmax()) for piece in torch.fft.rfft(pieces)[:, 1:].abs() * (pieces.abs().amax(1, keepdim=True) > 0.05)]
        indices = [(i + 1) // 20 for i in found if i]
        return " ".join("Four" if i == 5 else WORDS[i - 1].capitalize() for i in indices if 1 <= i <= len(WORDS))

    def normalise(self, text: str, language: str) -> str:
        return " ".join(text.lower().replace("-", " ").replace(".", "").split())


def judge(recognizer: Recognizer, sha256: str = "ab" * 32, closed: bool = False) -> AsrJudge:
    return AsrJudge("tones", sha256, "", lambda clips, device: recognizer, closed=closed)


def tones(text: str) -> Tensor:
    time = torch.arange(WORD) / RATE
    waves = [0.3 * torch.sin(2 * torch.pi * 400 * (WORDS.index(word) + 1) * time) for word in text.lower().replace(".", "").split()]
    return torch.cat(waves) if waves else torch.zeros(WORD)


def manifest(folder: Path, lines: Sequence[dict[str, str]]) -> Data:
    """Data of clips that say `says`, or their text."""
    folder.mkdir()
    entries = []
    for i, line in enumerate(lines):
        soundfile.write(folder / f"{i}.wav", tones(line.get("says", line.get("text", ""))).numpy(), RATE, subtype="FLOAT")
        entries.append({"path": f"{i}.wav", "id": f"clip{i}", **{k: v for k, v in line.items() if k != "says"}})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return open_data(str(folder / "manifest.jsonl"))


TEXTS = ("One two three.", "four five six seven", "eight", "two two two five one six", "seven. Six five", "five three one")


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Six sentences of three speakers, and a clip of music."""
    lines = [{"text": text, "speaker": f"s{i % 3}"} for i, text in enumerate(TEXTS)]
    return manifest(tmp_path / "data", [*lines, {"says": "one two", "domain": "music"}])


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of its own for every test."""
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    """Worker processes that need not import all of this again, unless an earlier test has started without."""
    start_server("bench.engine.run", "bench.tasks.asr")


class Coded:
    """16-bit samples; `decode` does to the words [B, 1, n, WORD] what `change` says."""

    def __init__(self, spec: Spec, change: Callable[[Tensor], Tensor]):
        self.spec, self.change = spec, change

    def encode(self, wav: Tensor) -> Tensor:
        if wav.shape[-1] == 11 * WORD:
            raise ValueError("cannot take eleven")
        return ((wav.clamp(-1, 1) + 1) * 32_767.5).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        wav = codes / 32_767.5 - 1
        return self.change(wav.unflatten(-1, (-1, WORD))).flatten(2)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "backwards": lambda words: words.flip(2),
    "silence": lambda words: 0 * words,
    "first": lambda words: words * (torch.arange(words.shape[2]) > 0).float()[:, None],
}


def changed(name: str) -> Variant:
    return Variant(Spec("changed", name, RATE, (Codebook(1 << 16, RATE),)), partial(Coded, change=CHANGES[name]))


def read(done: Run) -> list[dict[str, str]]:
    with (done.folder / "transcripts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_identity_loses_nothing_and_the_floor_nearly_all(data: Data, tmp_path: Path) -> None:
    what = suite(judge(Tones()))
    same, other = (once(name, what, data, tmp_path / "r") for name in ("identity", "shuffled"))
    assert mean(same, "wer_tones") == mean(same, "wer_tones_original") == 4 / 20  # five is taken for four
    assert all(row.value == 0 for name in ("wer_tones_vs_original", "wer_tones_delta") for row in column(same, name).values())
    assert column(other, "wer_tones_original") == column(same, "wer_tones_original")
    assert mean(other, "wer_tones") > 0.9 and mean(other, "wer_tones_vs_original") > 0.9 and mean(other, "cer_tones") > 0.5


def test_corpus_rates_are_those_of_jiwer_on_the_pooled_texts(data: Data, tmp_path: Path) -> None:
    what = suite(judge(Tones()))
    for variant in (changed("backwards"), changed("first"), registry.variant("shuffled")):
        done = once(variant, what, data, tmp_path / "r")
        said, before, after = (
            [Tones().normalise(line[name], "en") for line in read(done)] for name in ("transcript", "original", "reconstruction")
        )
        assert len(said) == 6
        assert mean(done, "wer_tones") == pytest.approx(jiwer.wer(said, after), abs=1e-12)
        assert mean(done, "cer_tones") == pytest.approx(jiwer.cer(said, after), abs=1e-12)
        assert mean(done, "wer_tones_vs_original") == pytest.approx(jiwer.wer(before, after), abs=1e-12)
        assert mean(done, "wer_tones_original") == pytest.approx(jiwer.wer(said, before), abs=1e-12)
        assert mean(done, "wer_tones_delta") == pytest.approx(jiwer.wer(said, after) - jiwer.wer(said, before), abs=1e-12)
        per_clip = sum(row.value for row in column(done, "wer_tones").values()) / 6
        assert abs(per_clip - mean(done, "wer_tones")) > 0.01  # the mean of clips would be another number


@dataclass(frozen=True)
class Choir(Tones):
    """Is asked about four clips together, and cannot bear silence among them."""

    at_once: int = 4
    groups: int = 1
    together: list[int] = field(default_factory=list)

    def transcribe_all(self, wavs: Sequence[Tensor], language: str) -> list[str]:
        self.together.append(len(wavs))
        if any(not wav.any() for wav in wavs):
            raise RuntimeError("out of memory")
        return [self.transcribe(wav, language) for wav in wavs]


def test_clips_are_heard_together_and_one_by_one_where_that_fails(data: Data, tmp_path: Path) -> None:
    alone, choir = (
        once(changed("first"), suite(judge(ears)), data, tmp_path / str(i)) for i, ears in enumerate((Tones(key="a"), Choir(key="b")))
    )
    assert [str(row) for row in choir.rows] == [str(row) for row in alone.rows] and read(choir) == read(alone)
    ears = Choir(key="c")
    once(changed("first"), suite(judge(ears)), data, tmp_path / "again")
    assert ears.together == [8, 4]  # originals and reconstructions of four clips, then of two
    two = once(changed("first"), suite(judge(Choir(key="e", at_once=2, groups=2))), data, tmp_path / "two")
    assert [str(row) for row in two.rows] == [str(row) for row in alone.rows] and read(two) == read(alone)
    silent = once(changed("silence"), suite(judge(Choir(key="d"))), data, tmp_path / "silent")
    assert mean(silent, "wer_tones") == 1 and mean(silent, "wer_tones_original") == 4 / 20


def test_the_delta_is_paired_clip_by_clip(data: Data, tmp_path: Path) -> None:
    done = once(changed("first"), suite(judge(Tones())), data, tmp_path / "r")
    after, before, delta = (column(done, name) for name in ("wer_tones", "wer_tones_original", "wer_tones_delta"))
    for clip, text in zip((f"clip{i}" for i in range(6)), TEXTS, strict=True):
        assert delta[clip].value == pytest.approx(after[clip].value - before[clip].value, abs=1e-12)
        assert delta[clip].weight == after[clip].weight == before[clip].weight == len(text.split())
    same = once("identity", suite(judge(Tones())), data, tmp_path / "r")
    means = {s.metric: s.mean for s in same.summaries}
    assert means["wer_tones_delta"] == pytest.approx(0, abs=1e-12) and means["wer_tones"] > 0


def test_every_clip_has_its_rows_and_music_has_none_but_its_end(data: Data, tmp_path: Path) -> None:
    done = once("identity", suite(judge(Tones())), data, tmp_path / "r")
    assert all({row.metric for row in done.rows if row.clip == f"clip{i}"} == {*NAMES, "seconds"} for i in range(6))
    assert [(row.metric, row.value) for row in done.rows if row.clip == "clip6"] == [("seconds", 0.0)]
    assert {summary.domain for summary in done.summaries} == {"speech"} and not [row for row in done.rows if row.clip == "*"]


def test_what_was_heard_is_kept_for_people(data: Data, tmp_path: Path) -> None:
    done = once(changed("backwards"), suite(judge(Tones())), data, tmp_path / "r")
    assert [line["clip"] for line in read(done)] == [f"clip{i}" for i in range(6)]
    expected = {"language": "en", "transcript": "seven. Six five", "original": "Seven Six Four", "reconstruction": "Four Six Seven"}
    assert read(done)[4] == {"clip": "clip4", **expected}


def test_an_original_is_heard_once_for_all_tokenizers_and_runs(data: Data, tmp_path: Path, cache: Path) -> None:
    ears = Tones()
    first = once("identity", suite(judge(ears)), data, tmp_path / "r")
    assert len(ears.heard) == 6 + 6
    once("mulaw", suite(judge(ears)), data, tmp_path / "r")
    assert len(ears.heard) == 6 + 6 + 6
    again = once("identity", suite(judge(ears)), data, tmp_path / "again")
    assert again.rows == first.rows and read(again) == read(first) and len(ears.heard) == 24
    for other in (judge(ears, sha256="cd" * 32), judge(replace(ears, key="v2"))):  # another model, another list of words
        ears.heard.clear()
        once("identity", suite(other), data, tmp_path / other.sha256 / "r")
        assert len(ears.heard) == 12
    ears.heard.clear()
    for path in cache.rglob(f"{data.clips[0].sha256}.json"):
        path.write_text('"One tw')
    assert once("identity", suite(judge(ears)), data, tmp_path / "torn").rows == first.rows and len(ears.heard) == 7


def test_a_finished_run_asks_nobody(data: Data, tmp_path: Path) -> None:
    ears = Tones()
    first = once("identity", suite(judge(ears)), data, tmp_path / "r")
    ears.heard.clear()
    second = once("identity", suite(judge(ears)), data, tmp_path / "r")
    assert not ears.heard and second.rows == first.rows and second.fresh_clips == 0


@pytest.mark.parametrize("left", [0, 1, 4, 7])
def test_a_stopped_run_ends_in_the_rows_and_transcripts_of_a_straight_one(data: Data, tmp_path: Path, left: int) -> None:
    what = suite(judge(Tones(unknown={"nine": 2, "ten": 1}), closed=True))
    whole = once(changed("first"), what, data, tmp_path / "whole")
    part = once(changed("first"), what, data, tmp_path / "part")
    kept = {f"clip{i}" for i in (6, 3, 0, 5, 1, 2, 4)[:left]}
    for name, torn in (("rows.csv", ""), ("transcripts.csv", "clip2,en,eig")):
        lines = (part.folder / name).read_text().splitlines(keepends=True)
        (part.folder / name).write_text("".join(line for i, line in enumerate(lines) if i == 0 or line.split(",")[0] in kept) + torn)
    assert once(changed("first"), what, data, tmp_path / "part").fresh_clips == 7 - left
    for name in ("rows.csv", "transcripts.csv"):
        assert (part.folder / name).read_text() == (whole.folder / name).read_text()


def test_a_fresh_run_forgets_what_was_heard(data: Data, tmp_path: Path) -> None:
    what = suite(judge(Tones()))
    done = once("identity", what, data, tmp_path / "r")
    with (done.folder / "transcripts.csv").open("a") as file:
        file.write("gone,en,a,b,c\n")
    assert [line["clip"] for line in read(once("identity", what, data, tmp_path / "r", fresh=True))] == [f"clip{i}" for i in range(6)]


def test_workers_hear_what_this_process_hears(data: Data, tmp_path: Path) -> None:
    here = once(changed("backwards"), suite(judge(Tones())), data, tmp_path / "here")
    there = once(changed("backwards"), suite(judge(Tones(key="workers", in_workers=True))), data, tmp_path / "there", workers=2)
    assert there.rows == here.rows and read(there) == read(here)


def test_a_judge_that_dies_or_fails_costs_the_clip(tmp_path: Path) -> None:
    died, failed = "worker process ended with exit code 3", "the ASR model failed: RuntimeError: thirteen is too much"
    for count, in_workers, note in ((12, True, died), (13, False, failed)):
        data = manifest(tmp_path / f"{count}", [{"text": "one two"}, {"text": " ".join(["one"] * count)}])
        done = once("identity", suite(judge(Tones(in_workers=in_workers))), data, tmp_path / "r")
        assert [row.note for row in column(done, "wer_tones").values()] == ["", note] and mean(done, "wer_tones") == 0
        assert all(math.isnan(column(done, name)["clip1"].value) for name in NAMES)
        assert (read(done)[1]["original"], read(done)[1]["reconstruction"]) == (f"({note})", f"({note})")


def test_what_cannot_be_scored_is_missing_with_a_reason(tmp_path: Path) -> None:
    lines = [
        {"text": "one two three"},
        {"says": "one two three", "text": ""},
        {"says": "one two three", "text": "..."},
        {"text": "one two", "says": "one two", "language": "de"},
        {"text": "one two", "says": ""},
        {"text": " ".join(["six"] * 11)},
    ]
    done = once("identity", suite(judge(Tones())), manifest(tmp_path / "data", lines), tmp_path / "r")
    no, none, deaf = "no transcript in the manifest", "the normalised transcript is empty", "the ASR model outputs no word for the original"
    language, failed = "the ASR model does not support 'de': try --asr-model base", "tokenizer failed: ValueError: cannot take eleven"
    assert {row.note for row in column(done, "wer_tones").values()} == {"", no, none, language}
    spoken = changed("backwards")
    done = once(spoken, suite(judge(Tones())), manifest(tmp_path / "more", lines), tmp_path / "r")
    expected = {
        "wer_tones": ["", no, none, language, "", failed],
        "cer_tones": ["", no, none, language, "", failed],
        "wer_tones_vs_original": ["", "", "", language, deaf, failed],
        "wer_tones_original": ["", no, none, language, "", ""],
        "wer_tones_delta": ["", no, none, language, "", failed],
    }
    for name, notes in expected.items():
        rows = column(done, name)
        assert [rows[f"clip{i}"].note for i in range(6)] == notes
        assert [math.isnan(rows[f"clip{i}"].value) for i in range(6)] == [bool(note) for note in notes]
    assert column(done, "wer_tones")["clip4"].value == 1 and column(done, "wer_tones")["clip4"].weight == 2
    assert {s.metric: s.n_missing for s in done.summaries} == {name: sum(map(bool, notes)) for name, notes in expected.items()}


def test_a_file_that_is_no_audio_is_missing_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    manifest(folder, [{"text": "one two"}, {"text": "six"}])
    (folder / "1.wav").write_bytes(b"noise")
    done = once("identity", suite(judge(Tones())), open_data(str(folder)), tmp_path / "r")
    assert all("cannot be read as audio" in column(done, name)["clip1"].note for name in NAMES)


def test_silence_is_all_errors_and_more_words_than_were_said_are_more_than_one(tmp_path: Path) -> None:
    data = manifest(tmp_path / "data", [{"text": "one", "says": "one two six"}, {"text": "two six"}])
    what = suite(judge(Tones()))
    silent = once(changed("silence"), what, data, tmp_path / "r")
    assert (
        [row.value for row in column(silent, "wer_tones").values()]
        == [1, 1]
        == [row.value for row in column(silent, "wer_tones_vs_original").values()]
    )
    assert column(silent, "wer_tones_delta")["clip0"].value == -1
    same = once("identity", what, data, tmp_path / "r")
    assert column(same, "wer_tones")["clip0"].value == 2 and mean(same, "wer_tones") == 2 / 3


def test_words_that_a_closed_vocabulary_lacks_are_counted_and_named(data: Data, tmp_path: Path) -> None:
    lacking = Tones(unknown={"nine": 2, "ten": 1})
    done = once("identity", suite(judge(lacking, closed=True)), data, tmp_path / "r")
    (row,) = column(done, "oov_tones").values()
    assert (row.clip, row.value, row.weight) == ("*", 3 / 20, 20)
    assert row.note == "3 of 20 transcript words are not in the ASR model's dictionary, each counts as an error: nine, ten"
    many = Tones(key="v3", unknown={f"w{i}": 1 for i in range(10)})
    (row,) = column(once("identity", suite(judge(many, closed=True)), data, tmp_path / "many"), "oov_tones").values()
    assert row.note.endswith("w6, w7, ...")


def test_the_label_and_the_run_tell_judges_apart(data: Data, tmp_path: Path) -> None:
    one, other = (once("identity", suite(judge(Tones(), sha256=sha)), data, tmp_path / "r") for sha in ("ab" * 32, "cd" * 32))
    assert one.folder != other.folder
    assert json.loads((one.folder / "run.json").read_text())["identity"]["judge"] == f"tones sha256:{'ab' * 32}, "


def test_audio_is_saved_of_speech_and_of_what_the_suite_does_not_score(data: Data, tmp_path: Path) -> None:
    once("identity", suite(judge(Tones())), data, tmp_path / "r", save_audio=tmp_path / "audio")
    assert len(list((tmp_path / "audio" / "identity@float32").glob("*.wav"))) == 7


def test_data_without_speech_and_tokens_without_audio_are_refused(data: Data, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no clip that the asr suite could score .speech."):
        once("identity", suite(judge(Tones())), replace(data, clips=data.clips[6:]), tmp_path / "r")
    with pytest.raises(UserError, match="is encode-only, and the asr suite needs decoded audio"):
        once("mfcc_kmeans@tiny", suite(judge(Tones())), data, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_the_recognizer_is_loaded_once_for_all_tokenizers(data: Data, tmp_path: Path) -> None:
    loads: list[tuple[Clip, ...]] = []

    def load(clips: tuple[Clip, ...], device: str) -> Recognizer:
        loads.append(clips)
        return Tones()

    what = suite(AsrJudge("tones", "ab" * 32, "", load))
    for done in run([registry.variant("identity"), registry.variant("mulaw")], what, data, Options(tmp_path / "r", workers=1)):
        assert len(done.rows) == 6 * 6 + 1
    assert loads == [data.clips[:6]]


def test_a_judge_that_is_not_there_stops_the_run_before_it_leaves_a_trace(data: Data, tmp_path: Path) -> None:
    def prepare() -> None:
        raise UserError("no model")

    with pytest.raises(UserError, match="no model"):
        once("identity", suite(replace(judge(Tones()), prepare=prepare)), data, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_an_answer_is_kept_whole(tmp_path: Path) -> None:
    answers = Answers("judge")
    answers.keep("aa", "")
    assert answers.get("aa") == ""  # nothing heard is an answer


def test_judges_are_known_by_name() -> None:
    assert asr.judge("base.en").name == asr.DEFAULT.name == "whisper_base_en"
    assert asr.judge("large").name == "whisper_large_v3" and asr.judge("large-v3-turbo").label == asr.judge("turbo").label
    with pytest.raises(UserError, match=r"no recognizer is called 'pocketsphynx': did you mean 'pocketsphinx'\? Known: tiny.en, "):
        asr.judge("pocketsphynx")
    with pytest.raises(UserError, match=r"no recognizer is called 'bsae.en': did you mean 'base.en'\?"):
        asr.judge("bsae.en")
    ways = "a Whisper's .pt file, a folder of faster-whisper or of transformers"
    with pytest.raises(UserError, match=f"no file nowhere.pt: give {ways}, or one of tiny.en, "):
        asr.judge("nowhere.pt")
