"""Phone errors: known answers of the dictionary, of numbers, and of the suite asr that is asked for them."""

from pathlib import Path

import jiwer
import pytest

from bench.api import Failure, UserError
from bench.cli import main
from bench.evaluators import phones as module
from bench.evaluators.options import parse
from bench.evaluators.phones import cardinal, phones
from bench.tasks.asr import SUITE, phone_scores, spelled, suite
from tests.one_run import column, mean, once
from tests.unit.tasks.test_asr import TEXTS, Tones, changed, judge, manifest

pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed: pip install pocketsphinx")


def per(said: str, heard: str) -> tuple[float, float]:
    """Errors and length."""
    a, b = phones(said).symbols, phones(heard).symbols
    found = jiwer.process_words(a, b)
    return found.substitutions + found.deletions + found.insertions, len(a.split())


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("The cat sat.", "DH AH K AE T S AE T"),
        ("It's TWENTY-one", "IH T S T W EH N T IY W AH N"),
        ("21", "T W EH N T IY W AH N"),
        ("zyxgor", "z y x g o r"),
        ("", ""),
        ("?!", ""),
    ],
)
def test_texts_have_the_phones_of_the_dictionary_and_letters_where_it_has_none(text: str, symbols: str) -> None:
    assert phones(text).symbols == symbols


def test_words_that_sound_alike_cost_nothing_and_near_ones_little() -> None:
    assert per("their knight", "there night") == (0, 6)
    assert per("five", "four") == (2, 3)
    assert per("the cat", "the bat") == (1, 5)
    assert per("zyxgor sat", "zyxgor sat")[0] == 0 and per("zyxgor", "sat")[0] == 6


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (15, "fifteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (1905, "one thousand nine hundred five"),
        (2_000_013, "two million thirteen"),
        (999_999_999_999, " ".join(f"nine hundred ninety nine {scale}" for scale in ("billion", "million", "thousand", "")).strip()),
    ],
)
def test_numbers_are_read_as_cardinals(number: int, words: str) -> None:
    assert " ".join(cardinal(number)) == words


def test_longer_digits_than_any_number_are_spelled() -> None:
    assert phones("1234567890123").spelled == ("1234567890123",)


def test_the_suite_has_phone_errors_where_it_is_asked_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    data = manifest(tmp_path / "data", [{"text": text, "speaker": f"s{i % 3}"} for i, text in enumerate(TEXTS)])
    what = suite(judge(Tones()), "per")
    assert what.asked == "per" and what.headline[-1] == "per_tones" and not suite(judge(Tones())).asked
    done = once(changed("backwards"), what, data, tmp_path / "r")
    said = [Tones().normalise(text, "en") for text in TEXTS]
    heard = [" ".join("four" if word == "five" else word for word in reversed(text.split())) for text in said]
    expected = jiwer.wer([phones(text).symbols for text in said], [phones(text).symbols for text in heard])
    assert mean(done, "per_tones") == pytest.approx(expected, abs=1e-12) and 0 < mean(done, "per_tones_original") < expected
    assert column(done, "per_tones")["clip2"].weight == 2  # eight: EY T
    assert [row.value for row in done.rows if row.metric == "per_tones_spelled"] == [0]


def test_what_the_dictionary_cannot_say_is_counted_and_told(tmp_path: Path) -> None:
    data = manifest(
        tmp_path / "data", [{"text": "one zyxgor two", "says": "one"}, {"text": "eins", "says": "one", "language": "de"}, {"says": "one"}]
    )
    row = spelled("tones", Tones(), data.clips)
    assert row.value == pytest.approx(1 / 3) and row.note == "1 of 3 transcript words are not in the dictionary and are spelled: zyxgor"
    notes = [phone_scores("tones", Tones(), clip, "one", "one")["per_tones"].note for clip in data.clips]
    assert notes == ["", "the dictionary knows the sounds of English alone", "no transcript in the manifest"]
    assert phone_scores("tones", Tones(), data.clips[0], "one", Failure("why"))["per_tones"].note == "why"


def test_another_model_is_asked_for_the_same_and_a_wrong_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert SUITE.with_asked is not None
    asked = SUITE.with_asked("per")
    assert asked.with_judge is not None and SUITE.with_asked("").asked == ""
    other = asked.with_judge("pocketsphinx")
    assert other.asked == "per" and "per_pocketsphinx_closed" in {metric.name for metric in other.metrics}
    with pytest.raises(UserError, match="--asr-options: 'phones' is none of per"):
        parse("per,phones")
    words = ["run", "--suite", "codes", "--tokenizer", "mimi@tiny", "--asr-options", "per"]
    assert main(words) == 2 and "--asr-options belongs to --suite asr" in capsys.readouterr().err


def test_another_dictionary_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SUITE.with_asked is not None and SUITE.with_asked("per").with_judge is not None
    other = SUITE.with_asked("per").with_judge("pocketsphinx")  # pyright: ignore[reportOptionalCall]
    assert other.prepare is not None
    other.prepare()
    monkeypatch.setattr(module, "DICTIONARY", module.PackageFile(**{**vars(module.DICTIONARY), "sha256": "0" * 64}))
    with pytest.raises(UserError, match="cmudict-en-us.dict has sha256 20b5c293e1f3.*not the pinned 000000000000... of pocketsphinx 5.1.1"):
        other.prepare()
