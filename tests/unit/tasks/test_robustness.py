"""The robustness suite on toys that break in one way each, and on tokenizers whose answers are known."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from bench import registry
from bench.api import Codebook, Score, Spec, Tokenizer, Variant
from bench.data.manifests import open_data
from bench.engine.codec_stage import trials
from bench.engine.perturbations import louder, overlapped
from bench.engine.run import Options, Run, run
from bench.tasks.robustness import Tried, _drops, examine
from tests.conftest import speech_like

SUITE = registry.load_suite("robustness")
RATE = 16_000
CONSISTENCY = [metric.name for metric in SUITE.metrics if metric.name.startswith("code_consistency_")]
DROPS = [metric.name for metric in SUITE.metrics if "_drop_" in metric.name]


class Toy:
    """`hop` samples a code, 256 levels of their mean; a frame hears itself alone."""

    def __init__(self, hop: int = 16):
        self.hop = hop
        self.spec = Spec("toy", "v", RATE, (Codebook(256, RATE / hop),), causal=True)

    def encode(self, wav: Tensor) -> Tensor:
        wav = torch.nn.functional.pad(wav, (0, -wav.shape[-1] % self.hop))
        return (wav.unflatten(-1, (-1, self.hop)).mean(-1) * 127 + 128).round().long().clamp(0, 255)

    def decode(self, codes: Tensor) -> Tensor:
        return ((codes - 128) / 127).repeat_interleave(self.hop, dim=-1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips of speech, by two speakers."""
    (tmp_path / "d").mkdir()
    for i in range(2):
        soundfile.write(tmp_path / "d" / f"{i}.wav", speech_like(1.5 + 0.01 * i, RATE, i).numpy(), RATE, subtype="FLOAT")
    return tmp_path / "d"


def tried(folder: Path, tokenizer: Tokenizer, seed: int = 0) -> Tried:
    """The first clip's trial."""
    clips = open_data(str(folder)).clips[:1]
    (found,) = trials(tokenizer.spec, lambda: tokenizer, clips, partial(examine, tokenizer.spec, seed))
    assert found.result is not None
    return found.result


def values(found: Tried) -> dict[str, float]:
    return {name.removeprefix("code_consistency_"): score.value for name, score in found.scores.items()}


def ran(folder: Path, name: str) -> dict[str, list[float]]:
    """Column -> the clips' values, by the whole engine."""
    return columns(engine(folder, registry.variant(name)))


def engine(folder: Path, variant: Variant) -> Run:
    return next(iter(run([variant], SUITE, open_data(str(folder)), Options(folder.parent / "results", workers=1))))


def columns(found: Run) -> dict[str, list[float]]:
    return {metric.name: [row.value for row in found.rows if row.metric == metric.name] for metric in SUITE.metrics}


def test_identity_keeps_every_code_where_it_must_and_loses_nothing(folder: Path) -> None:
    found = ran(folder, "identity")
    for name in ("repeat", "batch", "padded", "shift_2ms", "round_2", "round_3", "round_4", "round_5"):
        assert found[f"code_consistency_{name}"] == [1.0, 1.0]
    assert found["silence_codes"] == [1.0, 1.0]
    for name in DROPS:
        assert found[name] == pytest.approx([0.0, 0.0], abs=1e-6), name
    assert max(found["code_consistency_noise_20db"]) < 0.1 and max(found["code_consistency_gain_-20db"]) < 0.1


def test_mulaw_is_stable_but_not_under_a_gain(folder: Path) -> None:
    found = values(tried(folder, registry.load_tokenizer("mulaw")))
    for name in ("repeat", "batch", "padded", "shift_2ms"):
        assert found[name] == 1.0
    assert found["round_2"] == found["round_5"] > 0.8  # of the two codes of zero, one is left
    assert max(found["gain_-20db"], found["gain_6db"]) < 0.5  # the zeros of the pauses


def test_a_tokenizer_is_found_out_by_the_one_thing_that_it_does_wrong(folder: Path) -> None:
    class Forgetful(Toy):
        calls = 0

        def encode(self, wav: Tensor) -> Tensor:
            self.calls += 1
            return (super().encode(wav) + self.calls) % 256

    class Crowded(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            return (super().encode(wav) + len(wav)) % 256

    class Long(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            return (super().encode(wav) + wav.shape[-1] // 4800) % 256

    class Restless(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            codes = super().encode(wav)
            return codes if wav.any() else codes + torch.arange(codes.shape[-1]) % 5

    good = values(tried(folder, Toy()))
    assert good["repeat"] == good["batch"] == good["padded"] == good["round_5"] == good["silence_codes"] == 1.0
    assert values(tried(folder, Forgetful()))["repeat"] == 0.0
    crowded = values(tried(folder, Crowded()))
    assert (crowded["batch"], crowded["repeat"]) == (0.0, 1.0)
    assert (values(tried(folder, Long()))["padded"], values(tried(folder, Restless()))["silence_codes"]) == (0.0, 5.0)


def test_rounds_are_compared_with_the_first(folder: Path) -> None:
    class Fading(Toy):
        def decode(self, codes: Tensor) -> Tensor:
            """A further tenth of the frames is lost in each round, from the front."""
            fade = codes.clone()
            lost = int((codes[0, 0] == 255).long().cumprod(0).sum()) + codes.shape[-1] // 10
            fade[..., :lost] = 255
            return super().decode(fade)

    found = values(tried(folder, Fading()))
    assert [found[f"round_{n}"] for n in (2, 3, 4, 5)] == pytest.approx([0.9, 0.8, 0.7, 0.6], abs=0.01)


@pytest.mark.parametrize("hop", [1, 16, 20, 32])
def test_a_shift_by_whole_frames_changes_nothing(folder: Path, hop: int) -> None:
    assert values(tried(folder, Toy(hop)))["shift_2ms"] == 1.0


def test_frames_longer_than_the_shift_are_compared_one_by_one(folder: Path) -> None:
    wav = torch.from_numpy(soundfile.read(folder / "0.wav", dtype="float32")[0])[None, None]
    toy = Toy(320)
    before, after = toy.encode(wav), toy.encode(wav[..., 32:])  # 2 ms at 16 kHz
    expected = float((before[..., : after.shape[-1]] == after).double().mean())
    assert 0 < expected < 1 and values(tried(folder, toy))["shift_2ms"] == expected


def test_the_reference_is_what_was_encoded_and_a_level_is_undone(folder: Path) -> None:
    wav = torch.from_numpy(soundfile.read(folder / "0.wav", dtype="float32")[0])[None]
    seen: list[Tensor] = []

    class Watching(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            seen.append(wav[0].clone())
            return super().encode(wav)

    toy = Watching(1)
    pairs = tried(folder, toy).pairs
    noisy_pair = pairs["noise_10db"]
    assert any(torch.equal(noisy_pair.ref.wav, wav) for wav in seen) and not torch.allclose(noisy_pair.ref.wav, wav, atol=1e-3)
    assert (noisy_pair.est.wav - noisy_pair.ref.wav).abs().max() < 1 / 127  # the toy's own error
    soft = louder(wav, -20)
    assert torch.allclose(pairs["gain_-20db"].ref.wav, wav, atol=1e-6)
    assert torch.allclose(pairs["gain_-20db"].est.wav, 10 * toy.decode(toy.encode(soft[None]))[0], atol=1e-6)
    assert all(torch.equal(pairs[f"round_{n}"].ref.wav, wav) for n in (2, 5))


def test_drop_is_how_much_worse_than_clean_whatever_the_better_direction() -> None:
    drops = _drops(
        {
            "clean stoi": Score(0.9),
            "noise_0db stoi": Score(0.6),
            "clean mel_dac": Score(1.0),
            "clipped mel_dac": Score(3.0),
            "round_5 mel_dac": Score(math.nan, note="why"),
        }
    )
    assert drops["stoi_drop_noise_0db"].value == pytest.approx(0.3) and drops["mel_dac_drop_clipped"].value == 2.0
    assert math.isnan(drops["mel_dac_drop_round_5"].value) and drops["mel_dac_drop_round_5"].note == "why"
    assert _drops({"clean stoi": Score(math.nan, note="silent"), "noise_0db stoi": Score(0.6)})["stoi_drop_noise_0db"].note == "silent"


def test_noise_belongs_to_the_clip_and_the_seed(folder: Path) -> None:
    first, again, other = (tried(folder, Toy(), seed).pairs["noise_0db"].ref.wav for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    (folder / "0.wav").rename(folder / "renamed.wav")
    (folder / "1.wav").unlink()
    assert not torch.equal(first, tried(folder, Toy()).pairs["noise_0db"].ref.wav)


def test_what_fails_under_one_condition_costs_that_one(folder: Path) -> None:
    class Picky(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            if not wav.any():
                raise RuntimeError("I need sound")
            return super().encode(wav)

        rounds = 0

        def decode(self, codes: Tensor) -> Tensor:
            self.rounds += 1
            return super().decode(codes) * (math.nan if self.rounds == 3 else 1)

    scores = tried(folder, Picky()).scores
    missing = {name: score.note for name, score in scores.items() if math.isnan(score.value)}
    nan = "tokenizer failed: decode gave NaN or infinite samples"
    assert missing.pop("silence_codes") == "tokenizer failed: RuntimeError: I need sound"
    assert missing.pop("code_consistency_band_8khz") == "at 16000 Hz sample rate there is no band above 8000 Hz"
    missing = {name: note for name, note in missing.items() if "overlap" not in name and "are samples" not in note}
    assert missing.pop("unit_edits_band_8khz")
    rounds = {f"{kind}_round_{n}" for n in (3, 4, 5) for kind in ("code_consistency", "unit_edits", "pesq_wb_drop")} | {
        "mel_dac_drop_round_5"
    }
    assert missing == dict.fromkeys(rounds, nan)
    assert scores["code_consistency_round_2"].value == 1.0


def test_a_clip_that_fails_at_once_has_its_reason_in_every_column(folder: Path) -> None:
    class Broken(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            raise RuntimeError("no")

    (folder / "1.wav").write_bytes(b"nonsense")
    found = engine(folder, Variant(Toy().spec, lambda spec: Broken()))
    notes = {row.clip: row.note for row in found.rows if row.metric != "seconds"}
    assert notes["0.wav"] == "tokenizer failed: RuntimeError: no" and "cannot be read" in notes["1.wav"]
    assert all(math.isnan(row.value) for row in found.rows if row.metric != "seconds")


def test_units_without_audio_have_their_codes_compared_and_no_scores(folder: Path) -> None:
    found = ran(folder, "mfcc_kmeans@tiny")
    for name in CONSISTENCY + DROPS:
        silent = name in DROPS or "round" in name or name == "code_consistency_band_8khz"
        assert all(map(math.isnan, found[name])) == silent, name
    assert found["code_consistency_repeat"] == [1.0, 1.0] and max(found["code_consistency_noise_0db"]) < 1


def test_bytes_of_varying_rate_have_scores_and_no_frames(folder: Path) -> None:
    found = ran(folder, "opus")
    assert all(math.isnan(value) for name in [*CONSISTENCY, "silence_codes"] for value in found[name])
    assert all(math.isfinite(value) for name in DROPS for value in found[name])
    assert min(found["pesq_wb_drop_round_5"]) > max(0.1, *found["pesq_wb_drop_round_2"])


def test_ten_seconds_of_a_clip_are_enough(folder: Path) -> None:
    soundfile.write(folder / "0.wav", speech_like(11.0, RATE).numpy(), RATE, subtype="FLOAT")
    longest = 0

    class Measuring(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            nonlocal longest
            longest = max(longest, wav.shape[-1])
            return super().encode(wav)

    tried(folder, Measuring())
    assert longest == 10 * RATE + round(0.3 * RATE)  # the padded one


def test_more_noise_does_more_harm() -> None:
    chosen, clips = registry.variant("mimi@mini"), [clip for clip in open_data("mini").clips if clip.domain == "speech"][::8]
    found = [item.result for item in trials(chosen.spec, partial(registry.load_tokenizer, chosen), clips, partial(examine, chosen.spec, 0))]
    each = [values(result) for result in found if result is not None]
    kept = {name: sum(clip[name] for clip in each) / len(clips) for name in each[0]}
    assert 0.5 > kept["noise_20db"] > kept["noise_10db"] > kept["noise_0db"]
    assert 1 > kept["gain_6db"] > kept["gain_-10db"]
    assert kept["round_2"] > kept["round_3"] > kept["round_5"] > 0.05
    assert kept["repeat"] == kept["batch"] == kept["padded"] == 1.0


def test_a_resumed_run_has_the_rows_of_a_straight_one(folder: Path) -> None:
    chosen = Variant(replace(Toy().spec, decodes=False), lambda spec: Toy())
    path = engine(folder, chosen).folder / "rows.csv"
    text = path.read_text()
    path.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("0.wav")))
    assert engine(folder, chosen).fresh_clips == 1 and path.read_text() == text


def test_every_column_is_named_in_the_list() -> None:
    assert all(metric.about and metric.per == "clip" for metric in SUITE.metrics) and len(SUITE.metrics) == 55


def test_a_second_voice_is_added_at_the_level_stated_and_begun_again() -> None:
    wav, voice = torch.randn(1, 1, 400) / 20, torch.randn(1, 1, 150)
    for softer in (0.0, 10.0):
        added = overlapped(wav, voice, softer) - wav
        assert torch.allclose(added[..., :150], added[..., 150:300], atol=1e-6)
        assert 10 * math.log10(float(wav.square().mean() / added.square().mean())) == pytest.approx(softer, abs=1e-3)
    assert torch.equal(overlapped(wav, torch.zeros(1, 1, 9), 0.0), wav)


def test_context_and_a_second_voice_change_the_codes_of_what_hears_them(folder: Path) -> None:
    clips = open_data(str(folder)).clips
    others = {clips[0].id: clips[1]}

    def scores(tokenizer: Tokenizer, **options: object) -> dict[str, Score]:
        (found,) = trials(tokenizer.spec, lambda: tokenizer, clips[:1], partial(examine, tokenizer.spec, 0, **options))
        assert found.result is not None
        return found.result.scores

    alone, both = scores(Toy(80)), scores(Toy(80), others=others)
    assert alone["code_consistency_slice"].value == 1 and alone["unit_edits_slice"].value == 0, "a frame hears itself alone"
    assert "no other clip" in alone["code_consistency_overlap_0db"].note
    changed = [both[f"code_consistency_{name}"].value for name in ("overlap_10db", "overlap_0db")]
    edits = [both[f"unit_edits_{name}"].value for name in ("repeat", "overlap_10db", "overlap_0db")]
    assert 1 > changed[0] > changed[1] > 0 and 0 == edits[0] < edits[1] < edits[2]
    assert "samples" in scores(Toy(16))["unit_edits_repeat"].note

    class Late(Toy):
        """Adds what came before the clip's own beginning: the number of the frame."""

        def encode(self, wav: Tensor) -> Tensor:
            codes = super().encode(wav)
            return (codes + torch.arange(codes.shape[-1])) % 256

    assert scores(Late(80))["code_consistency_slice"].value < 0.5
