"""Which second half belongs to a first: a listener that knows voices finds them, one that knows nothing of the past is at chance."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.api import Clip
from bench.lm.continuation import KINDS, TEXT, VOICE, Bits, Judge, distractors, halves
from bench.lm.streams import Stream

RATE, FRAMES, SIZE = 20.0, 60, 8
VOICES, TEXTS = 4, 30
P = np.random.default_rng(0).dirichlet(np.ones(SIZE), size=VOICES)  # of codes, by voice
SENTENCES = [f"words {i} at {i} the {i} end {i}" for i in range(TEXTS)]
CLIPS = [Clip(f"{v}-{t}", Path("x"), "", "speech", f"v{v}", SENTENCES[t]) for v in range(VOICES) for t in range(TEXTS)]


def streams(seed: int = 1) -> dict[str, Stream]:
    """Codes of which the voice decides how often each comes, and the text nothing."""
    rng = np.random.default_rng(seed)
    return {clip.id: Stream(rng.choice(SIZE, p=P[int(clip.id[0])], size=(FRAMES, 1)), FRAMES / RATE) for clip in CLIPS}


def knows_voices(asked: Mapping[str, Stream]) -> dict[str, np.ndarray]:
    """The exact code length where the voice is not known beforehand."""
    found = {}
    for name, stream in asked.items():
        each = np.log2(P[:, stream.codes[:, 0]]).cumsum(1)  # [voices, F]
        whole = np.logaddexp2.reduce(each, axis=0) - np.log2(VOICES)
        found[name] = -np.diff(whole, prepend=0.0)[:, None]
    return found


def knows_frequencies(asked: Mapping[str, Stream]) -> dict[str, np.ndarray]:
    return {name: -np.log2(P.mean(0)[stream.codes]) for name, stream in asked.items()}


def shares(given: Mapping[str, Stream], bits: Bits, kind: str) -> np.ndarray:
    """[clips, 2]: of all and of the first second, of every clip."""
    found = Judge(given, RATE, bits).judged(distractors(CLIPS, kind))
    assert set(found) == set(given)
    return np.array([(one.whole, one.first) for one in found.values()])


def test_who_knows_voices_finds_the_half_of_the_same_voice_but_not_of_the_same_text() -> None:
    assert shares(streams(), knows_voices, VOICE).mean(0) == pytest.approx(1, abs=0.06)
    assert shares(streams(), knows_voices, TEXT).mean(0) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_who_knows_how_often_codes_come_is_at_chance(kind: str) -> None:
    """Likely halves do not win: what each would cost without its first half is taken off."""
    assert (shares(streams(), knows_frequencies, kind) == 0.5).all()


@pytest.mark.parametrize("kind", KINDS)
def test_uniform_codes_are_at_chance(kind: str) -> None:
    rng = np.random.default_rng(3)
    uniform = {clip.id: Stream(rng.integers(SIZE, size=(FRAMES, 1)), FRAMES / RATE) for clip in CLIPS}
    assert shares(uniform, knows_voices, kind).mean(0) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_after_silence_all_halves_are_at_chance(kind: str) -> None:
    silent = {clip: Stream(np.where(np.arange(FRAMES)[:, None] < FRAMES // 2, 0, s.codes), s.seconds) for clip, s in streams().items()}
    assert shares(silent, knows_voices, kind).mean(0) == pytest.approx(0.5, abs=1e-9)


def test_halves_lack_the_first_half_second() -> None:
    first, rest = halves(np.arange(60)[:, None], RATE) or (None, None)
    assert first is not None and first[-1, 0] == 29 and rest is not None and rest[0, 0] == 40
    assert halves(np.zeros((28, 1)), RATE) is None and halves(np.zeros((30, 1)), RATE) is not None


def test_a_false_half_differs_in_one_thing_and_every_clip_is_one_as_often_as_it_is_asked() -> None:
    by_id = {clip.id: clip for clip in CLIPS}
    for kind in KINDS:
        found = distractors(CLIPS, kind)
        assert {len(others) for others in found.values()} == ({3} if kind == VOICE else {4})
        for clip, others in found.items():
            for name in others:
                same_voice, same_text = by_id[clip].speaker == by_id[name].speaker, by_id[clip].text == by_id[name].text
                assert (same_voice, same_text) == ((False, True) if kind == VOICE else (True, False)) and clip in found[name]


def test_texts_with_one_end_and_clips_without_text_or_voice_are_no_pair() -> None:
    ends = [
        Clip(name, Path("x"), "", "speech", "v", said)
        for name, said in (("a", "A dog runs home."), ("b", "some dogs runs home"), ("c", ""))
    ]
    nobody = [Clip("d", Path("x"), "", "speech", "", "a dog runs home")]
    assert distractors([*ends, *nobody], TEXT) == {} == distractors([*ends, *nobody], VOICE)
