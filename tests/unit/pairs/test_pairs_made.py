"""Pairs that are made of the bundled closed language: what is right and wrong in them, and that no piece by itself tells which."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.api import UserError
from bench.pairs import agreement, consistency, lexicon, pieces, words
from bench.pairs.pieces import MARGIN, RATE
from bench.pairs.quads import Quad, even
from bench.pairs.rooms import heard_in, paced, response, reverberation
from bench.pairs.scores import answers
from tests.closed_language import FRAMES, language, parts, phone_labels, phone_numbers, phones, voices


@pytest.fixture(scope="module")
def of_words() -> list[Quad]:
    return words.quads(voices(), language(), 0)


@pytest.fixture(scope="module")
def of_agreement() -> list[Quad]:
    return agreement.quads(voices(), language(), [clip.text for clip in parts().train], 0)


@pytest.fixture(scope="module")
def of_voices() -> list[Quad]:
    return consistency.quads({**voices(), **voices("dev")}, {}, 0)


def collapsed(quad: Quad) -> dict[str, tuple[str, ...]]:
    """Of each side, its phones; the one that was cut in two is one."""
    found = {}
    for i, left in enumerate(quad.left):
        for j, right in enumerate(quad.right):
            a, b = ([phone.name for piece in pieces for phone in piece.phones] for pieces in (left, right))
            found[f"{i}{j}"] = tuple(a + b[quad.kind == "word" :])
    return found


def test_every_clip_is_spoken_as_the_lexicon_says_in_exactly_one_way() -> None:
    unlike = [clip.id for clip in parts().clips if not language().said(clip.text, phones(clip))]
    assert not unlike


def test_words_of_a_reading_have_its_phones_in_their_order() -> None:
    said = voices()["slt"][0].said
    assert " ".join(one.word.text for one in said) == voices()["slt"][0].clip.text
    assert all(a.end <= b.start + 0.002 for a, b in pairwise(said))
    sailors = next(one for one in said if one.word.text == "sailors")
    assert (sailors.word.base, sailors.word.number, [p.name for p in sailors.stem]) == ("sailor", "many", ["s", "ey", "l", "er"])


def test_what_is_said_of_words_and_their_beginnings_can_be_spoken_and_nothing_else() -> None:
    for spoken in ("k ae t", "k ae", "k ae t s iy", "dh ax k ae t s ih"):
        assert language().speakable(tuple(spoken.split())), spoken
    for never in ("k ae m", "t ae", "k ae t z"):
        assert not language().speakable(tuple(never.split())), never


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("word\tkind\n", ":1: the first line"),
        ("word\tkind\tbase\tnumber\tphones\ncat\tnoun\tcat\tone\n", ":2: a line of a lexicon has 5 cells"),
    ],
)
def test_a_lexicon_that_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "lexicon.tsv").write_text(text)
    with pytest.raises(UserError, match=why):
        lexicon.read(tmp_path / "lexicon.tsv")


def test_a_reading_cut_and_joined_at_one_place_is_as_it_was() -> None:
    read = voices()["slt_hts"][3]
    place = read.said[2].start
    whole = pieces.sound([pieces.cut(read, 0, place), pieces.cut(read, place, read.seconds)])
    assert len(whole.wave) == len(read.wave)
    assert np.allclose(whole.wave[100:-100], read.wave[100:-100], atol=1e-6)
    assert [phone.name for phone in whole.phones] == [phone.name for phone in read.phones]
    assert [phone.start for phone in whole.phones] == pytest.approx([phone.start for phone in read.phones], abs=1e-4)


def test_nothing_is_louder_than_full_scale(of_words: list[Quad], of_voices: list[Quad]) -> None:
    assert max(np.abs(sound.wave).max() for quad in (*of_words[::9], *of_voices[::9]) for _, sound in quad.sides()) < 1


def test_words_are_of_the_language_and_what_is_none_is_not(of_words: list[Quad]) -> None:
    assert len(of_words) > 120 and {quad.voice for quad in of_words} == {"slt", "slt_deep", "slt_hts", "slt_hts_deep"}
    for quad in of_words:
        for side, names in collapsed(quad).items():
            spoken = [name for name in names if name != "pau"]
            assert language().speakable(tuple(spoken)) == (side in ("00", "11")), (quad.id, side, spoken)


def test_words_and_what_is_none_have_the_same_phones_and_the_same_neighbours(of_words: list[Quad]) -> None:
    for quad in of_words:
        sides = collapsed(quad)
        for of in (lambda names: list(names), lambda names: list(pairwise(names))):
            right, wrong = (Counter(of(sides[a])) + Counter(of(sides[b])) for a, b in (("00", "11"), ("01", "10")))
            assert right == wrong, quad.id


def test_the_phone_that_is_cut_is_as_long_in_words_as_in_what_is_none(of_words: list[Quad]) -> None:
    for quad in of_words:
        begins, ends = ([piece.phones[place] for (piece,) in side] for side, place in ((quad.left, -1), (quad.right, 0)))
        assert {phone.name for phone in (*begins, *ends)} == {quad.item.split("@")[1]}
        length = {(i, j): begins[i].end - begins[i].start + ends[j].end - ends[j].start for i in (0, 1) for j in (0, 1)}
        right, wrong = (sorted(length[i, i ^ other] for i in (0, 1)) for other in (0, 1))
        assert right == pytest.approx(wrong, abs=1e-6), quad.id


def test_agreement_is_right_and_wrong_with_the_same_words(of_agreement: list[Quad]) -> None:
    assert len(of_agreement) == 100 and len({quad.item.split(", ")[2] for quad in of_agreement}) > 6
    known = {word: language().words[word] for word in language().words}
    for quad in of_agreement:
        one, many, verb, _ = quad.item.split(", ")
        assert (known[one.split()[-1]].number, known[many.split()[-1]].number, known[verb].number) == ("one", "many", "many")
        endings = [[phone.name for phone in right[0].phones][-1] for right in quad.right]
        assert endings[0] in lexicon.ENDINGS  # "sings" for one


def test_no_noun_and_verb_that_meet_in_training_are_put_together(of_agreement: list[Quad]) -> None:
    bases = [[language().words[word].base for word in clip.text.split()] for clip in parts().train]
    met = {pair for text in bases for pair in pairwise(text)}
    for quad in of_agreement:
        *subjects, verb, _ = quad.item.split(", ")
        assert not {(language().words[subject.split()[-1]].base, verb) for subject in subjects} & met, quad.item


def test_every_join_is_between_readings_of_different_sentences(
    of_words: list[Quad], of_agreement: list[Quad], of_voices: list[Quad]
) -> None:
    texts = {clip.id: clip.text for clip in parts().clips}
    for quad in (*of_words, *of_agreement, *(quad for quad in of_voices if quad.kind != "splice")):
        for left in quad.left:
            for right in quad.right:
                said = [texts[piece.reading] for piece in (*left, *right)]
                assert all(a != b for a, b in pairwise(said)), (quad.id, said)


def test_all_speakers_and_texts_are_new_to_the_model(of_words: list[Quad], of_agreement: list[Quad], of_voices: list[Quad]) -> None:
    trained = {clip.id for clip in parts().train}
    used = {piece.reading for quad in (*of_words, *of_agreement, *of_voices) for side in (*quad.left, *quad.right) for piece in side}
    assert not used & trained
    asked_of_words = {piece.reading for quad in (*of_words, *of_agreement) for side in (*quad.left, *quad.right) for piece in side}
    assert all(name.startswith("test_") for name in asked_of_words)


def test_voices_are_asked_about_with_the_same_words(of_voices: list[Quad]) -> None:
    count = Counter(quad.kind for quad in of_voices)
    assert count == dict.fromkeys(("voice", "gender", "room", "tempo", "splice"), consistency.QUADS)  # no noises were given
    for quad in of_voices:
        if quad.kind == "voice":
            sides = {side: tuple(n for n in names if n != "pau") for side, names in collapsed(quad).items()}
            assert abs(len(sides["00"]) - len(sides["01"])) <= 4, quad.id  # synthesisers say some words in two ways
            assert set(quad.voice.split("|")) not in ({"slt", "slt_hts"}, {"slt_deep", "slt_hts_deep"})  # one speaker at one pitch
        if quad.kind == "gender":
            assert {voice.split("_")[0] for voice in quad.voice.split("|")} == {"rms", "slt"}


def test_length_tells_nothing(of_words: list[Quad], of_agreement: list[Quad], of_voices: list[Quad]) -> None:
    for quad in (*of_words, *of_agreement, *of_voices):
        length = {name[-2:]: len(sound.wave) for name, sound in quad.sides()}
        assert length["00"] - length["01"] == length["10"] - length["11"], quad.id


def test_the_shorter_and_the_commoner_phones_tell_nothing(of_words: list[Quad], of_agreement: list[Quad], of_voices: list[Quad]) -> None:
    common = dict(zip(phone_numbers(), np.log(np.random.default_rng(0).dirichlet(np.ones(len(phone_numbers())))), strict=True))
    for quad in (*of_words, *of_agreement, *of_voices):
        sides = dict(quad.sides())
        length = {name: -len(sound.wave) for name, sound in sides.items()}
        unigram = {name: sum(common[p.name] * (p.end - p.start) for p in sound.phones) for name, sound in sides.items()}
        for score in (length, unigram):
            pairs = list(quad.pairs())
            margins = {pair.id: [float(score[pair.right] - score[pair.wrong])] for pair in pairs}
            assert answers(pairs, margins, 0) == {quad.id: 0.5}, quad.id
            each = answers(pairs, margins, 0, each=True)
            assert sum(each.values()) == 1, quad.id


def test_parts_are_drawn_evenly() -> None:
    candidates = [(a, b) for a in "abcd" for b in "abcd" if a < b]
    assert Counter("".join("".join(pair) for pair in even(candidates, 4))) == dict.fromkeys("abcd", 2)
    assert len(even(candidates, 100)) == len(candidates)


def fading(t60: float) -> np.ndarray:
    """Noise that falls by 60 dB in so many seconds."""
    t = np.arange(2 * RATE) / RATE
    return np.random.default_rng(0).standard_normal(len(t)) * 10 ** (-3 * t / t60)


@pytest.mark.parametrize("t60", [0.2, 0.8])
def test_a_room_falls_by_60_db_in_its_time(t60: float) -> None:
    room = response(consistency.ROOM, np.array([1.0, 1.5, 1.2]), np.array([3.5, 2.5, 1.6]), t60)
    assert reverberation(room) == pytest.approx(t60, rel=0.2) and reverberation(fading(t60)) == pytest.approx(t60, rel=0.05)
    wave = voices()["slt"][0].wave
    assert np.sum(heard_in(room, wave) ** 2) == pytest.approx(np.sum(wave**2), rel=1e-3)


def pitch(wave: np.ndarray) -> float:
    """Hz of the strongest line."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum)) * RATE / len(wave)


@pytest.mark.parametrize("faster", consistency.TEMPI)
def test_tempo_changes_the_length_and_not_the_pitch(faster: float) -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    found = paced(tone, faster)
    assert len(found) == round(RATE / faster)
    middle = found[2000:-2000]
    assert pitch(middle) == pytest.approx(200, abs=2) and np.sqrt(np.mean(middle**2)) == pytest.approx(np.sqrt(0.5), rel=0.05)


def test_a_changed_piece_has_its_phones_where_they_are_heard() -> None:
    read = voices()["slt"][0]
    piece = pieces.cut(read, 0.0, read.said[2].start)
    slow = piece.changed(lambda wave: np.repeat(wave, 2)[: 2 * (len(wave) - 2 * MARGIN) + 2 * MARGIN])
    assert slow.samples == 2 * piece.samples
    assert [p.start for p in slow.phones] == pytest.approx([2 * p.start for p in piece.phones])


def test_the_frames_of_a_side_are_those_of_its_pieces(of_words: Sequence[Quad]) -> None:
    for name, sound in of_words[0].sides():
        assert len(phone_labels(sound)) == round(len(sound.wave) / RATE * FRAMES), name
