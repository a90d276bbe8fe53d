"""What models of codes that are known say of the pairs: that phones tell words and agreement and no voice, that pitch tells voices and no
words, and that words cannot be told by a model of phones that follow each other as in words, but make none. Where phones of a word are in
another order, the company that they keep still tells words. Minutes of one core each: `pytest -m slow`."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from bench.data.alignments import SILENCE, Phone
from bench.pairs import agreement, consistency, words
from bench.pairs.learned import Verdict
from bench.pairs.pieces import RATE, Piece, Reading, Sound
from bench.pairs.quads import Quad, rng_of
from tests.closed_language import FRAMES, labels, language, parts, phone_labels, phone_numbers, phones, sounds, told_apart, voices

TRAINED = (*parts().train, *parts().dev)


def quads() -> list[Quad]:
    made = words.quads(voices(), language(), 0) + agreement.quads(voices(), language(), [clip.text for clip in parts().train], 0)
    return made + [quad for quad in consistency.quads({**voices(), **voices("dev")}, {}, 0) if quad.kind in ("voice", "gender")]


def test_pitch_and_loudness_are_what_they_say() -> None:
    tone = 0.1 * np.sign(np.sin(2 * np.pi * 150 * np.arange(RATE) / RATE))
    found = pitch_and_loudness(Sound(tone.astype(np.float32), ()))
    assert len(found) == round(FRAMES)
    assert set(found[5:-5, 0].tolist()) <= {pitch_code(150) - 1, pitch_code(150), pitch_code(150) + 1} and len(set(found[5:-5, 1])) == 1
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert np.mean(pitch_and_loudness(Sound(noise, ()))[:, 0] == 0) > 0.9


def test_scrambled_words_have_the_same_phones_at_the_same_places() -> None:
    clip = parts().train[0]
    before, after = phones(clip), scrambled(clip.id, phones(clip), language().said(clip.text, phones(clip)))
    assert sorted(p.name for p in before) == sorted(p.name for p in after) and [p.name for p in before] != [p.name for p in after]
    assert after[-1].end == pytest.approx(before[-1].end, abs=0.01)


@pytest.mark.slow
def test_phones_tell_words_and_agreement_and_no_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "ITEMS", 100)  # four times those of the suite: of 25 the 95 % interval is 20 points to either side
    made = quads()
    streams = {clip.id: labels(phones(clip), seconds(clip.id)) for clip in TRAINED}
    streams |= {name: phone_labels(sound) for quad in made for name, sound in quad.sides()}
    verdict, won = told_apart(made, streams, [len(phone_numbers())])
    print("phone labels", verdict.converged, won)
    assert won["word"] >= 0.9
    assert won["syntax"] >= 0.75
    # not gender: the male voices are another speaker, whose phones have other lengths
    assert won["voice"] == pytest.approx(0.5, abs=0.98 / math.sqrt(sum(quad.kind == "voice" for quad in made)))


@pytest.mark.slow
def test_phones_that_follow_each_other_as_in_the_corpus_tell_no_words() -> None:
    following = neighbours([phones(clip) for clip in TRAINED])
    streams = {clip.id: labels(chained(clip.id, seconds(clip.id), following), seconds(clip.id)) for clip in TRAINED}
    verdict, won = of_words(streams)
    print("chained phones", verdict.converged, won)
    assert won["word"] == pytest.approx(0.5, abs=0.98 / math.sqrt(words.ITEMS))  # the 95 % interval of chance


@pytest.mark.slow
def test_phones_in_another_order_within_words_tell_what_their_company_does() -> None:
    streams = {}
    for clip in TRAINED:
        mixed = scrambled(clip.id, phones(clip), language().said(clip.text, phones(clip)))
        streams[clip.id] = labels(mixed, seconds(clip.id))
    verdict, won = of_words(streams)
    print("scrambled phones", verdict.converged, won)
    assert 0.5 < won["word"] < 0.9  # counting their company tells as much, order all


def test_which_phones_come_in_one_word_tells_words_by_counting() -> None:
    together = Counter[tuple[str, str]]()
    for clip in parts().train:
        for said in language().said(clip.text, phones(clip)):
            together.update(permutations(said.names, 2))
    alone = Counter[str]()
    for (name, _), count in together.items():
        alone[name] += count
    whole, size = together.total(), len(phone_numbers())

    def company(some: Sequence[str], others: Sequence[str]) -> float:
        """The pointwise mutual information of all their pairs, in nats."""
        smooth = whole + size**2 / 2
        found = (((together[a, b] + 0.5) / smooth, (alone[a] + size / 2) * (alone[b] + size / 2) / smooth**2) for a in some for b in others)
        return sum(math.log(joint / apart) for joint, apart in found)

    readings = {reading.clip.id: reading for some in voices().values() for reading in some}
    won = []
    for quad in words.quads(voices(), language(), 0):
        begins = [beginning(left[0], readings[left[0].reading])[:-1] for left in quad.left]
        ends = [[phone.name for phone in right[0].phones[1:]] for right in quad.right]
        right, wrong = (sum(company(begins[i], ends[i ^ other]) for i in (0, 1)) for other in (0, 1))
        won.append(right > wrong)
    assert np.mean(won) > 0.85


@pytest.mark.slow
def test_an_ideal_listener_tells_voices_by_their_mean_pitch() -> None:
    won = defaultdict[str, list[bool]](list)
    for quad in (quad for quad in quads() if quad.kind in ("voice", "gender")):
        left, right = ([mean_pitch(piece) for (piece,) in side] for side in (quad.left, quad.right))
        won[quad.kind].append((left[0] - left[1]) * (right[0] - right[1]) > 0)
    found = {kind: float(np.mean(told)) for kind, told in won.items()}
    print("mean pitch", found)
    assert found["voice"] > 0.9 and found["gender"] > 0.9


@pytest.mark.slow
def test_pitch_and_loudness_tell_voices_and_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency, "QUADS", 192)  # four times those of the suite: of 48 the 95 % interval is 14 points to either side
    made = [quad for quad in quads() if quad.kind != "syntax"]
    streams = {name: pitch_and_loudness(sound) for name, sound in sounds(TRAINED).items()}
    streams |= {name: pitch_and_loudness(sound) for quad in made for name, sound in quad.sides()}
    verdict, won = told_apart(made, streams, [PITCHES + 1, LEVELS])
    print("pitch and loudness", verdict.converged, won)
    assert min(won[name] for name in ("voice", "voice_local", "gender", "gender_local")) >= 0.8
    assert won["word"] == pytest.approx(0.5, abs=0.12)


def of_words(streams: Mapping[str, np.ndarray]) -> tuple[Verdict, dict[str, float]]:
    """What a model that learned these codes of the clips says of true words."""
    made = words.quads(voices(), language(), 0)
    asked = {name: phone_labels(sound) for quad in made for name, sound in quad.sides()}
    return told_apart(made, {**streams, **asked}, [len(phone_numbers())])


def beginning(piece: Piece, reading: Reading) -> list[str]:
    """The phones of a piece's last word."""
    end = piece.samples / RATE
    word = next(said for said in reading.said if said.start < end <= said.end)
    return [phone.name for phone in piece.phones if phone.start >= word.start]


def mean_pitch(piece: Piece) -> float:
    """Of what is voiced, in codes."""
    found = pitch_and_loudness(Sound(piece.wave, ()))[:, 0]
    return float(found[found > 0].mean())


def neighbours(clips: Iterable[Sequence[Phone]]) -> Mapping[str, Sequence[Phone]]:
    """All phones that come after each; the first of a clip after its last."""
    found = defaultdict[str, list[Phone]](list)
    for clip in clips:
        for before, after in zip(clip, (*clip[1:], clip[0]), strict=True):
            found[before.name].append(after)
    return found


def chained(name: str, seconds: float, following: Mapping[str, Sequence[Phone]]) -> tuple[Phone, ...]:
    """Phones drawn one after the other, each of those that come after the one before, as long as it was there."""
    rng, found, time, last = rng_of(0, name), list[Phone](), 0.0, SILENCE
    while time < seconds:
        phone = following[last][int(rng.integers(len(following[last])))]
        found.append(replace(phone, start=time, end=time + phone.end - phone.start))
        time, last = found[-1].end, phone.name
    return tuple(found)


def seconds(clip: str) -> float:
    """Where its last phone ends."""
    return next(phones(one)[-1].end for one in TRAINED if one.id == clip)


def scrambled(name: str, before: Sequence[Phone], said: Sequence[object]) -> tuple[Phone, ...]:
    """The phones of each word in another order, each as long as it was."""
    rng, found, time = rng_of(0, name), list[Phone](), 0.0
    starts = {word.phones[0].start: word.phones for word in said}  # type: ignore[attr-defined]
    place = 0
    while place < len(before):
        word = starts.get(before[place].start, (before[place],))
        for i in rng.permutation(len(word)):
            length = word[i].end - word[i].start
            found.append(replace(word[i], start=time, end=time + length))
            time += length
        place += len(word)
    return tuple(found)


PITCHES, LOWEST, HIGHEST, VOICED = 24, 60.0, 420.0, 0.5  # codes of pitch, Hz, and the least autocorrelation of what has any
LEVELS, STEP = 8, 6.0  # of loudness, dB


def pitch_code(hz: float) -> int:
    return 1 + int(np.clip(PITCHES * np.log(hz / LOWEST) / np.log(HIGHEST / LOWEST), 0, PITCHES - 1))


def pitch_and_loudness(sound: Sound) -> np.ndarray:
    """[F, 2]: the strongest autocorrelation of 40 ms as a pitch, 0 where there is none; the level in steps of 6 dB."""
    hop, window = round(RATE / FRAMES), round(0.04 * RATE)
    count = max(1, round(len(sound.wave) / hop))
    padded = np.pad(sound.wave.astype(np.float64), (window // 2, window + count * hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[hop // 2 :: hop][:count] * np.hanning(window)
    spectrum = np.abs(np.fft.rfft(frames, 2 * window)) ** 2
    lags = np.fft.irfft(spectrum)[:, :window] / np.maximum(
        np.fft.irfft(np.abs(np.fft.rfft(np.hanning(window), 2 * window)) ** 2)[:window], 1e-3
    )
    first, last = int(RATE / HIGHEST), min(window - 1, int(RATE / LOWEST))
    near = lags[:, first:last]
    early = (near >= 0.9 * near.max(1, keepdims=True)).argmax(1)  # not a multiple of the period
    best = np.array([place + row[place : place + 8].argmax() for place, row in zip(early, near, strict=True)])
    strength = lags[np.arange(count), first + best] / np.maximum(lags[:, 0], 1e-9)
    pitches = np.array([pitch_code(RATE / (first + b)) if s > VOICED else 0 for b, s in zip(best, strength, strict=True)])
    power = 10 * np.log10(np.mean(frames**2, 1) + 1e-9)
    return np.stack([pitches, np.clip((power + 70) / STEP, 0, LEVELS - 1).astype(int)], 1)
