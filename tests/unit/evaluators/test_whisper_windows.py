"""Whisper in short windows and in batches: which window a clip has, which answers do not stand, and that no clip changes another's."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.evaluators import asr, openai_whisper, whisper_windows
from bench.evaluators.faster_whisper import FasterWhisperRecognizer
from bench.evaluators.whisper_windows import Heard, Windows, repeats, window_of
from tests import whisper_models
from tests.conftest import speech_like
from tests.unit.evaluators.test_asr_models import checkpoint

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed: pip install --no-deps faster-whisper ctranslate2")


@pytest.mark.parametrize(("seconds", "window"), [(0.1, 1000), (9.0, 1000), (9.01, 2000), (19, 2000), (19.5, 3000), (30, 3000)])
def test_a_window_holds_a_clip_and_a_second(seconds: float, window: int) -> None:
    assert window_of(torch.zeros(round(16_000 * seconds))) == window


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the modern approach the modern approach", True),
        ("so the cat sat. The cat sat, on it", False),  # marks tell them apart
        ("a very very long day", False),
        ("one two three one two", False),
        ("ah one two three four one two three four", True),
        ("", False),
    ],
)
def test_words_that_follow_themselves_at_once_are_a_repetition(text: str, said: bool) -> None:
    assert repeats(text) == said


def test_an_answer_stands_unless_it_is_unlikely_or_repeats_itself() -> None:
    assert Heard("the cat sat", -0.3, 0.1).sound and not Heard("the cat sat", -1.2, 0.1).sound
    assert not Heard("a b c a b c", -0.3, 0.1).sound and not Heard("o " * 60, -0.3, 0.1).sound
    assert Heard("you", -1.2, 0.9).said == "" and Heard("you", -0.5, 0.9).said == Heard("you", -1.2, 0.1).said == "you"


class Scripted(Windows):
    """Says what the script says of a window and a clip's level, and notes what it was asked."""

    asked: list[tuple[int, int]] = []

    def _batch(self, window: int, wavs: Sequence[torch.Tensor]) -> list[Heard]:
        self.asked.append((window, len(wavs)))
        return [Heard("a b c a b c" if window < 3000 and wav.max() > 0.5 else f"{window} {len(wav)}", -0.1, 0.0) for wav in wavs]


def test_a_repetition_is_heard_again_in_the_full_window_and_the_order_is_kept() -> None:
    Scripted.asked = []
    wavs = [torch.full((round(16_000 * s),), level) for s, level in ((2, 0.0), (12, 0.0), (3, 1.0), (29.8, 1.0), (4, 0.0))]
    found = Scripted(None, None).transcribe(wavs)  # pyright: ignore[reportArgumentType]
    assert found == ["1000 32000", "2000 192000", "3000 48000", "3000 476800", "1000 64000"]
    assert Scripted.asked == [(1000, 3), (2000, 1), (3000, 1), (3000, 1)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[openai_whisper.WhisperRecognizer, FasterWhisperRecognizer]:
    """One random Whisper through both packages."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed: pip install --no-deps openai-whisper")
    folder = tmp_path_factory.mktemp("one")
    path = checkpoint(folder / "random.pt")
    loaded = asr.judge(str(whisper_models.ctranslate2(path, folder / "Random.en"))).load((), "cpu")
    assert isinstance(loaded, FasterWhisperRecognizer)
    return openai_whisper.load(path, "cpu"), loaded


Both = tuple[openai_whisper.WhisperRecognizer, FasterWhisperRecognizer]


def test_no_clip_of_a_batch_changes_another(both: Both) -> None:
    _, recognizer = both
    wavs = [speech_like(seconds, 16_000, seed) for seed, seconds in enumerate((1.0, 11.0, 2.5, 0.3))] + [torch.zeros(0)]
    together = recognizer.transcribe_all(wavs, "en")
    assert together == [recognizer.transcribe(wav, "en") for wav in wavs] and together[-1] == "" and together[0]
    assert isinstance(recognizer, asr.ManyAtOnce) and recognizer.at_once >= 8


def test_in_the_full_window_both_packages_hear_the_same(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = both
    monkeypatch.setattr(whisper_windows, "WINDOWS", (3000,))
    monkeypatch.setattr(Heard, "said", property(lambda self: self.text))
    wavs = [speech_like(seconds, 16_000, seed) for seed, seconds in enumerate((2.0, 3.5))]
    batched = replace(theirs, at_once=2)
    monkeypatch.setattr(openai_whisper, "SILENT", 2.0)
    for one, other in zip(ours.transcribe_all(wavs, "en"), batched.transcribe_all(wavs, "en"), strict=True):
        assert one[:60] == other[:60] != ""  # later on random weights have near ties
    assert batched.transcribe_all(wavs, "en") == [batched.transcribe(wav, "en") for wav in wavs]


def test_openai_whisper_goes_one_by_one_on_a_cpu(both: Both) -> None:
    theirs, _ = both
    assert theirs.at_once == 1 and not theirs.half and theirs.key.endswith("on cpu")
    wavs = [speech_like(1.0, 16_000, 1), torch.zeros(0)]
    assert theirs.transcribe_all(wavs, "en")[0] == theirs.transcribe(wavs[0], "en")


@pytest.mark.cuda
def test_on_a_gpu_clips_go_together_in_half_precision(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    recognizer = openai_whisper.load(checkpoint(tmp_path / "random.pt"), "cuda")
    assert recognizer.half and recognizer.at_once == openai_whisper.AT_ONCE and "half precision" in recognizer.key
    wavs = [speech_like(seconds, 16_000, seed) for seed, seconds in enumerate((1.0, 2.0, 33.0))]
    assert len(recognizer.transcribe_all(wavs, "en")) == 3
