"""The codes suite on codes whose statistics are known: the audio of a clip holds the codes that a toy tokenizer reads off it."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from bench import registry
from bench.api import Codebook, Data, Spec, UserError, Variant
from bench.data import alignments
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.leaderboard.entries import candidates
from bench.report import describe, tables
from bench.tokens.codes import agreement
from tests.conftest import speech_like

SUITE = registry.load_suite("codes")
RATE = 16_000
MOST = 16  # codes of each of the toy's two codebooks


class Plain:
    """A sample is 16 x the first code + the second, over 1024. Encodes only what it is given, and is never asked to decode."""

    def __init__(self, spec: Spec):
        self.spec = spec

    def encode(self, wav: Tensor) -> Tensor:
        value = (wav[:, 0] * 1024).round().long()
        return torch.stack([value // MOST, value % MOST], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        raise AssertionError("the suite has no use for audio")


PLAIN = Variant(Spec("plain", "v", RATE, (Codebook(MOST, RATE), Codebook(MOST, RATE)), causal=True), Plain)


def variant(encode: Callable[[Tensor], Tensor], size: int, rate: float = 50.0) -> Variant:
    """One codebook, by a function of wav [B, 1, T]."""

    class Toy(Plain):
        def encode(self, wav: Tensor) -> Tensor:
            return encode(wav)

    return Variant(Spec("toy", "v", RATE, (Codebook(size, rate),), decodes=False), Toy)


def data(folder: Path, clips: Sequence[tuple[str, str, np.ndarray | Tensor]], domain: str = "speech") -> Path:
    """A manifest of (speaker, text, samples)."""
    folder.mkdir()
    lines = []
    for i, (speaker, text, wav) in enumerate(clips):
        soundfile.write(folder / f"{i:02}.wav", np.asarray(wav, dtype=np.float32), RATE, subtype="FLOAT")
        lines.append(json.dumps({"path": f"{i:02}.wav", "speaker": speaker, "text": text, "domain": domain}))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder


def ran(folder: Path, chosen: Variant = PLAIN, results: str = "results") -> Run:
    return next(iter(run([chosen], SUITE, open_data(str(folder)), Options(folder.parent / results, workers=1))))


def pooled(found: Run) -> dict[str, float]:
    return {row.metric: row.value for row in found.rows if row.clip == "*"}


def note(found: Run, metric: str) -> str:
    return next(row.note for row in found.rows if row.clip == "*" and row.metric == metric)


def stream(first: np.ndarray, second: np.ndarray | int = 0) -> np.ndarray:
    return (MOST * first + second) / 1024


def test_a_codebook_with_known_codes_has_known_statistics(tmp_path: Path) -> None:
    cycle = np.arange(8000) % 8  # half of the codes, equally often, each told by the one before it
    found = pooled(ran(data(tmp_path / "d", [("a", "", stream(cycle, 3)), ("b", "", stream(cycle, 3))])))
    expected = {
        "frames_per_code": (1000.0, 1000.0),
        "codebook_utilization": (0.5, 1 / 16),
        "dead_codes": (8, 15),
        "perplexity_norm": (0.5, 1 / 16),
        "entropy_bits": (3.0, 0.0),
        "entropy_norm": (0.75, 0.0),
        "zipf_slope": (0.0, None),
        "repeat_rate": (0.0, 1.0),
        "bigram_bits": (0.0, 0.0),
    }
    for metric, (first, second) in expected.items():
        assert found[f"{metric}_cb1"] == pytest.approx(first, abs=1e-9)
        assert found.get(f"{metric}_cb2") == (None if second is None else pytest.approx(second, abs=1e-9))
    assert found["codebook_utilization"] == pytest.approx((0.5 + 1 / 16) / 2) and found["dead_codes"] == 23
    assert found["bigram_bits_shuffled_cb1"] == pytest.approx(3.0, abs=0.01)
    assert found["kbps_entropy"] == pytest.approx(3 * 16) and found["kbps_nominal"] == pytest.approx(8 * 16)
    assert found["tokens_30s"] == 30 * 2 * RATE and found["context_32k_s"] == pytest.approx(32_768 / 32_000)


def test_counts_are_pooled_over_clips_and_apart_by_domain(tmp_path: Path) -> None:
    halves = [("a", "", stream(np.arange(400) % 8 + 8 * half)) for half in (0, 1)]
    assert pooled(ran(data(tmp_path / "d", halves)))["codebook_utilization_cb1"] == 1.0  # each clip by itself uses half
    folder = data(tmp_path / "two", halves)
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    (folder / "manifest.jsonl").write_text(lines[0] + "\n" + lines[1].replace('"speech"', '"music"'))
    rows = {(row.domain, row.metric): row.value for row in ran(folder).rows}
    assert rows["speech", "codebook_utilization_cb1"] == rows["music", "codebook_utilization_cb1"] == 0.5
    assert ("music", "mi_speaker") not in rows and ("speech", "mi_speaker") in rows


def test_what_a_codebook_tells_of_speaker_and_word_is_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = []
    for speaker in range(4):
        for word in range(4):
            for _ in range(3):
                clips.append(
                    (f"s{speaker}", f"w{word}!", stream(4 * speaker + rng.integers(0, 4, 300), 4 * word + rng.integers(0, 4, 300)))
                )
    found = pooled(ran(data(tmp_path / "d", clips)))
    for told, other in (("mi_speaker_cb1", "mi_word_cb1"), ("mi_word_cb2", "mi_speaker_cb2")):
        assert found[told] == pytest.approx(1.0) and abs(found[other]) < 0.1


def test_words_are_clips_of_one_word(tmp_path: Path) -> None:
    clips = [(f"s{i % 2}", text, stream(np.arange(200) % 16)) for i, text in enumerate(["two words", "and more", "one"])]
    assert "at least two single-word" in note(ran(data(tmp_path / "d", clips)), "mi_word")


def test_without_speakers_and_texts_the_reason_stands_there(tmp_path: Path) -> None:
    found = ran(data(tmp_path / "d", [("", "", stream(np.arange(200) % 16))] * 2))
    assert math.isnan(pooled(found)["mi_speaker"]) and "at least two speakers" in note(found, "mi_speaker")
    assert math.isnan(pooled(found)["shared_bits"]) and "needs one text read by two speakers" in note(found, "shared_bits")
    assert math.isnan(pooled(found)["pnmi"]) and "names an alignment" in note(found, "pnmi") == note(found, "abx_across")
    assert any("mi_speaker, mi_speaker_shuffled of speech: needs at least two speakers" in line for line in tables.notes([found]))


def melody(tones: Sequence[int], seconds: float) -> np.ndarray:
    """Each tone for so long."""
    t = np.arange(round(seconds * RATE)) / RATE
    return np.concatenate([0.3 * np.sin(2 * np.pi * 250 * (tone + 1) * t) for tone in tones])


def tones_heard(wav: Tensor) -> Tensor:
    """20 ms frames -> the loudest multiple of 250 Hz."""
    frames = torch.nn.functional.pad(wav, (0, -wav.shape[-1] % 320)).unfold(-1, 320, 320)
    spectrum = torch.fft.rfft(frames * torch.hann_window(320)).abs()[..., 5:85:5]  # bins of 50 Hz
    return spectrum.argmax(-1)


def random_codes(wav: Tensor) -> Tensor:
    frames = math.ceil(wav.shape[-1] / 320)
    seed = int(wav.double().abs().sum() * 1e6) % 2**31
    return torch.randint(0, 16, (len(wav), 1, frames), generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def sung(tmp_path: Path) -> Path:
    """Twelve melodies, each by three voices that differ in tempo, level and hiss."""
    rng = np.random.default_rng(1)
    clips = []
    for text in range(12):
        tones = rng.integers(0, 16, 12).tolist()
        for voice, (seconds, level) in enumerate(((0.1, 1.0), (0.14, 0.2), (0.17, 0.5))):
            wav = melody(tones, seconds)
            clips.append((f"v{voice}", f"melody {text}", level * wav + 1e-3 * rng.standard_normal(len(wav))))
    return data(tmp_path / "sung", clips)


def test_units_of_what_is_said_are_shared_across_voices_and_random_ones_are_not(sung: Path) -> None:
    found = pooled(ran(sung, variant(tones_heard, 16)))
    assert 1.5 < found["shared_bits_low"] < found["shared_bits"] < found["shared_bits_high"] < 4
    assert 0.5 < found["shared_share"] < 1.05 and 2 < found["shared_mi"] < 4
    chance = pooled(ran(sung, variant(random_codes, 16), "random"))
    assert abs(chance["shared_bits"]) < 0.3 and chance["shared_bits_low"] < 0 < chance["shared_bits_high"]
    assert abs(chance["shared_mi"]) < 0.1 and abs(chance["mi_speaker"]) < 0.03


def test_a_codebook_of_one_code_shares_nothing(sung: Path) -> None:
    found = ran(sung, variant(lambda wav: tones_heard(wav) * 0, 16))
    assert pooled(found)["shared_bits"] == 0.0
    assert math.isnan(pooled(found)["shared_share"]) and "one code alone is in use" in note(found, "shared_share")


def spoken_tones(rng: np.random.Generator, number: int) -> tuple[list[int], np.ndarray]:
    """A clip of 20 phones of a tenth of a second, each a tone."""
    tones = (np.cumsum(rng.integers(1, 4, 20)) % 4).tolist()  # no two alike in a row: warping would make one of them
    return tones, melody(tones, 0.1) + 1e-3 * np.random.default_rng(number).standard_normal(20 * 1600)


def aligned(folder: Path, clips: Sequence[tuple[str, str, np.ndarray]], name: str, lines: Sequence[str]) -> Path:
    """Clips whose manifest names a file of alignments."""
    data(folder, clips)
    (folder / name).write_text("\n".join(lines))
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"domain"', f'"alignment": "{name}", "domain"'))
    return folder


def test_phones_as_codes_are_told_apart_and_random_codes_are_not(tmp_path: Path) -> None:
    rng, clips, lines = np.random.default_rng(2), [], []
    for i in range(24):
        tones, wav = spoken_tones(rng, i)
        clips.append((f"s{i % 3}", "", wav))
        lines += [f"{i:02} 1 {k / 10} 0.1 {'abcd'[tone]}" for k, tone in enumerate(tones)]
    folder = aligned(tmp_path / "d", clips, "phones.ctm", lines)
    found, chance = pooled(ran(folder, variant(tones_heard, 16))), pooled(ran(folder, variant(random_codes, 16), "random"))
    assert found["pnmi"] > 0.95 and found["phone_purity"] > 0.95 and found["abx_within"] < 0.01 and found["abx_across"] < 0.01
    assert found["phone_bits_per_s"] == pytest.approx(10 * 2, rel=0.1) and found["abx_codes_per_item"] == pytest.approx(15, abs=1)
    assert found["phone_bits_per_s_cb1"] == found["phone_bits_per_s"]
    assert abs(chance["pnmi"]) < 0.02 and abs(chance["phone_bits_per_s"]) < 0.5
    assert chance["abx_within"] == pytest.approx(0.5, abs=0.03) and chance["abx_across"] == pytest.approx(0.5, abs=0.03)
    assert abs(chance["speaker_bits_1s"]) < 0.15


def test_of_two_codebooks_each_says_what_it_tells_by_itself(tmp_path: Path) -> None:
    """The first hears tones, the second the channel's hum: one a voice."""
    rng, clips, lines = np.random.default_rng(2), [], []
    for i in range(24):
        tones, wav = spoken_tones(rng, i)
        clips.append((f"s{i % 3}", "", wav + 2.0 * (i % 3)))
        lines += [f"{i:02} 1 {k / 10} 0.1 {'abcd'[tone]}" for k, tone in enumerate(tones)]

    class Both(Plain):
        def encode(self, wav: Tensor) -> Tensor:
            hum = (wav[:, :, ::320].mean(-1, keepdim=True) / 2).round()
            tones = tones_heard(wav - 2 * hum)
            return torch.cat([tones, hum.long().expand_as(tones)], 1)

    two = Variant(Spec("both", "v", RATE, (Codebook(16, 50.0), Codebook(3, 50.0)), decodes=False), Both)
    found = pooled(ran(aligned(tmp_path / "d", clips, "phones.ctm", lines), two))
    assert found["phone_bits_per_s"] == pytest.approx(20, rel=0.1)
    assert found["phone_bits_per_s_cb1"] == pytest.approx(20, rel=0.1) and abs(found["phone_bits_per_s_cb2"]) < 0.5
    # a little more than log2 3: of 24 clips the shares of the voices differ from fold to fold
    assert found["speaker_bits_1s"] == pytest.approx(math.log2(3), rel=0.15)
    assert found["speaker_bits_1s_cb2"] == pytest.approx(math.log2(3), rel=0.15) and abs(found["speaker_bits_1s_cb1"]) < 0.15


def test_a_file_of_items_is_the_abx_test_and_says_who_speaks_where_the_manifest_does_not(tmp_path: Path) -> None:
    rng, clips, lines = np.random.default_rng(2), [], ["#file onset offset #phone prev-phone next-phone speaker"]
    for i in range(24):
        tones, wav = spoken_tones(rng, i)
        clips.append(("", "", wav))
        said = ["abcd"[tone] for tone in tones]
        for k in range(1, 19):
            lines.append(f"{i:02} {(k - 1) / 10:.1f} {(k + 2) / 10:.1f} {said[k]} {said[k - 1]} {said[k + 1]} s{i % 3}")
    found = ran(aligned(tmp_path / "d", clips, "triphones.item", lines), variant(tones_heard, 16))
    assert pooled(found)["abx_within"] < 0.01 and pooled(found)["abx_across"] < 0.01
    assert pooled(found)["abx_codes_per_item"] == pytest.approx(15, abs=1)
    assert math.isnan(pooled(found)["phone_bits_per_s"]) and "alignment" in note(found, "phone_bits_per_s")


def test_the_controls_are_the_floor_and_the_ceiling_of_the_bundled_corpus(tmp_path: Path) -> None:
    clips = open_data("mini", None).clips
    mini = Data("mini", tuple(clip for clip in clips if clip.domain == "speech"), "x")
    options = Options(tmp_path, workers=1)
    ceiling, floor = (pooled(found) for found in run(list(map(registry.variant, ("phone_labels", "random_codes"))), SUITE, mini, options))
    assert ceiling["pnmi"] > 0.99 and ceiling["abx_across"] < 0.001 and ceiling["phone_purity"] > 0.99 and ceiling["shared_bits"] > 2.2
    assert ceiling["phone_bits_per_s"] > 30 and ceiling["mi_speaker"] < 0.05
    assert abs(floor["pnmi"]) < 0.03 and abs(floor["abx_across"] - 0.5) < 0.06 and abs(floor["phone_bits_per_s"]) < 0.5
    assert abs(floor["mi_speaker"]) < 0.03 and floor["codebook_utilization"] > 0.95 and floor["bpe_codes_per_token"] < 1.1


def test_labels_as_codes_are_for_suites_that_read_labels_and_clips_that_have_them(tmp_path: Path) -> None:
    folder = data(tmp_path / "d", [("a", "", stream(np.arange(200) % 16))])
    labels = registry.variant("phone_labels")
    found = ran(folder, labels)
    assert next(row.note for row in found.rows if row.clip == "00.wav").startswith("its manifest names no alignment")
    assert labels not in candidates(registry.load_suite("probe")) and labels.spec.label in {v.spec.label for v in candidates(SUITE)}
    with pytest.raises(UserError, match="has the labels of the clips for codes, which the probe suite does not read"):
        next(iter(run([labels], registry.load_suite("probe"), open_data(str(folder)), Options(tmp_path / "r", workers=1))))


def test_what_only_decodes_is_shown_as_such_and_no_suite_begins(tmp_path: Path) -> None:
    folder, published = data(tmp_path / "d", [("a", "", stream(np.arange(200) % 16))]), registry.variant("voxtral@24khz")
    assert describe.facts(published)["encodes"] == "no (decode-only): its authors released no encoder"
    assert "encodes" not in describe.facts(registry.variant("voxtral@tiny"))
    with pytest.raises(UserError, match="voxtral@24khz is decode-only, its authors released no encoder"):
        ran(folder, published)
    assert not (tmp_path / "results").exists()


def test_of_frames_that_vary_in_length_no_column_asks_for_the_code_of_a_moment(tmp_path: Path) -> None:
    class Varying(Plain):
        def encode(self, wav: Tensor) -> Tensor:
            return super().encode(wav)[..., :100]

    books = (Codebook(MOST, math.nan), Codebook(MOST, math.nan, role="duration"))
    folder = data(tmp_path / "d", [(f"s{i}", "one", stream(np.arange(16_000) % 16, 1)) for i in range(2)])
    found = ran(folder, Variant(Spec("varying", "v", RATE, books, decodes=False), Varying))
    assert pooled(found)["codebook_utilization"] == (1 + 1 / 16) / 2
    for name in ("pnmi", "speaker_bits_1s", "shared_bits", "abx_across"):
        assert math.isnan(pooled(found)[name]) and "its frames vary in length" in note(found, name)


def test_alignments_are_part_of_what_a_run_is(tmp_path: Path) -> None:
    folder = data(tmp_path / "d", [("a", "", stream(np.arange(200) % 16))])
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"domain"', '"alignment": "a.ctm", "domain"'))
    keys = set()
    for phone in ("s", "t"):
        (folder / "a.ctm").write_text(f"00 1 0 0.01 {phone}")
        alignments.forget()
        keys.add(ran(folder).folder.name)
    assert len(keys) == 2


def test_acoustic_bpe_packs_what_repeats_and_not_what_is_random(tmp_path: Path) -> None:
    cycle = [("a", "", stream(np.arange(2000) % 8, 3))] * 4
    found = pooled(ran(data(tmp_path / "d", cycle)))
    assert found["bpe_codes_per_token"] > 100 and found["bpe_tokens_per_s"] == pytest.approx(2 * RATE / found["bpe_codes_per_token"])
    rng = np.random.default_rng(0)
    random = [("a", "", stream(rng.integers(0, 16, 8000), rng.integers(0, 16, 8000))) for _ in range(2)]
    assert pooled(ran(data(tmp_path / "r", random)))["bpe_codes_per_token"] < 2.1
    alone = ran(data(tmp_path / "one", cycle[:1]))
    assert "needs two clips" in note(alone, "bpe_codes_per_token")


def test_a_resumed_run_pools_what_a_straight_one_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = data(tmp_path / "d", [(f"s{i % 3}", f"text {i % 2}", stream(rng.integers(0, 16, 4000))) for i in range(6)])
    straight = ran(folder)
    path = straight.folder / "rows.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(("*", "02", "05"))))
    resumed = ran(folder)
    assert resumed.fresh_clips == 2
    assert path.read_text() == "".join(lines)


@pytest.mark.parametrize("name", ["opus", "identity"])
def test_codes_that_cannot_be_counted_are_missing_with_the_reason(tmp_path: Path, name: str) -> None:
    found = ran(data(tmp_path / "d", [(f"s{i}", "hello", speech_like(0.5, RATE, i)) for i in range(2)]), registry.variant(name))
    values = pooled(found)
    for metric in SUITE.metrics:
        if metric.per == "codebook" or metric.name.startswith("bpe_"):
            assert (
                math.isnan(values[metric.name])
                and note(found, metric.name) == "not applicable: codes are raw samples or variable-rate bytes"
            )
    assert values["tokens_30s"] > 0 and not any("_cb" in metric for metric in values)


def test_a_clip_that_fails_costs_its_rates_and_the_others_are_pooled(tmp_path: Path) -> None:
    folder = data(tmp_path / "d", [("a", "", stream(np.arange(64) % 16)), ("b", "", np.full(64, 1.0))])  # code 64: out of range
    found = ran(folder)
    failed = {row.metric: row for row in found.rows if row.clip == "01.wav"}
    assert math.isnan(failed["tokens_per_s"].value) and "outside of their codebooks" in failed["kbps_packed"].note
    assert pooled(found)["codebook_utilization_cb1"] == 1.0 and pooled(found)["tokens_30s"] == 30 * 2 * RATE


def test_where_nothing_was_encoded_every_value_is_missing(tmp_path: Path) -> None:
    found = ran(data(tmp_path / "d", [("a", "", np.full(64, 1.0))]))
    assert all(math.isnan(value) for metric, value in pooled(found).items() if metric != "kbps_nominal")
    assert note(found, "codebook_utilization") == note(found, "tokens_30s") == "no clip was encoded"


def test_too_little_audio_for_a_codebook_is_said(tmp_path: Path) -> None:
    found = ran(data(tmp_path / "d", [("a", "", stream(np.arange(159) % 16))]))
    assert "below 10" in note(found, "frames_per_code")
    assert not note(ran(data(tmp_path / "more", [("a", "", stream(np.arange(160) % 16))])), "frames_per_code")


def test_each_codebook_has_a_line_in_the_table_and_in_the_file(tmp_path: Path) -> None:
    found = ran(data(tmp_path / "d", [("a", "", stream(np.arange(800) % 8, 3))]))
    ((caption, header, lines),) = tables.codebook_grids([found], 140, ["codebook_utilization", "dead_codes"])
    assert (caption, header) == ("speech, by codebook", ["codebook", "codebook_utilization (%) ↑", "dead_codes ↓"])
    assert lines == [["plain@v cb1", "50.0", "8"], ["plain@v cb2", "6.2", "15"]]
    tables.save(found)
    with (found.folder / "codebooks.csv").open(newline="") as file:
        book = list(csv.DictReader(file))
    assert [(line["codebook"], line["size"], line["codebook_utilization"], line["mi_word"]) for line in book] == [
        ("1", "16", "0.5", ""),
        ("2", "16", "0.0625", ""),
    ]


def test_agreement_is_the_share_of_equal_codes_over_all_codebooks() -> None:
    a, b = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]), torch.tensor([[1, 2, 3, 0], [5, 0, 0, 0]])
    assert agreement(a, b) == 0.5 and agreement(a[:, :0], b[:, :0]) == 1.0
