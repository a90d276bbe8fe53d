"""What a trained model saves when it is told something, on codes where that is known: text, the codes themselves, noisy ones, and nothing.

Two codebooks of four codes, 20 frames a second: the first says a letter, two frames long, the second is noise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.lm.beside import Beside, Other, Text, digest, other, text
from bench.lm.coding import Coder, Training
from bench.lm.layouts import layout
from bench.lm.network import Body
from bench.lm.streams import Alphabet, Stream
from bench.lm.training import PARTS, Outcome, learn
from bench.lm.windows import Window

RATE, CLIPS, FRAMES = 20.0, 140, 48
IDS = tuple(f"c{i}" for i in range(CLIPS))
TRAIN, DEV, TEST = IDS[:100], IDS[100:110], IDS[110:]
SECONDS = dict.fromkeys(IDS, FRAMES / RATE)
NEXT = dict(zip(IDS, (*IDS[1:], IDS[0]), strict=True))
LETTERS = np.random.default_rng(0).integers(4, size=(CLIPS, FRAMES // 2))
SAID = {clip: "".join("abcd"[letter] for letter in line) for clip, line in zip(IDS, LETTERS, strict=True)}
NOISE = np.random.default_rng(1).integers(4, size=(CLIPS, FRAMES))
STREAMS = {clip: Stream(np.stack([line.repeat(2), noise], 1), FRAMES / RATE) for clip, line, noise in zip(IDS, LETTERS, NOISE, strict=True)}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in a worker process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def training(streams: Mapping[str, Stream], steps: int, columns: int = 2) -> Training:
    alphabet = Alphabet((4,) * columns, tuple(range(columns)), tuple(range(columns)))
    made = Training(layout("depth", columns), alphabet, streams, TRAIN, DEV, TEST, RATE, 0, steps, Body(32, 1, 32, 1))
    return replace(made, peak=1e-2)


def bits_per_s(made: Training) -> float:
    *_, found = learn(made, ("part",) * PARTS)
    assert isinstance(found, Outcome)
    return sum(map(sum, found.bits.values())) / sum(SECONDS[clip] for clip in TEST)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A plain model's, and what it pays."""
    path = tmp_path_factory.mktemp("weights") / "plain.safetensors"
    return path, bits_per_s(replace(training(STREAMS, 100), keep=path))


def saved(weights: tuple[Path, float], beside: Beside, steps: int = 80) -> float:
    """Bits per second."""
    path, plain = weights
    return plain - bits_per_s(replace(training(STREAMS, steps), start=path, beside=beside))


def test_the_plain_model_pays_for_letters_and_noise(weights: tuple[Path, float]) -> None:
    assert weights[1] == pytest.approx(60, rel=0.03) and weights[1] > 59.5


def test_a_transcript_saves_the_letters(weights: tuple[Path, float]) -> None:
    """10 a second, of 2 bits."""
    assert saved(weights, text(SAID, SECONDS, TRAIN), 100) == pytest.approx(20, rel=0.06)


def test_the_transcript_of_another_clip_saves_nothing_and_costs_nothing(weights: tuple[Path, float]) -> None:
    assert abs(saved(weights, text({clip: SAID[NEXT[clip]] for clip in IDS}, SECONDS, TRAIN))) < 1


def test_of_the_codes_themselves_nothing_is_left(weights: tuple[Path, float]) -> None:
    assert saved(weights, other(STREAMS, STREAMS), 200) / weights[1] == pytest.approx(1, abs=0.02)


def test_the_codes_of_another_clip_save_nothing(weights: tuple[Path, float]) -> None:
    assert saved(weights, other({clip: STREAMS[NEXT[clip]] for clip in IDS}, STREAMS)) / weights[1] == pytest.approx(0, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.25, 0.5, 0.75])
def test_noisy_codes_save_what_they_tell(kept: float, tmp_path: Path) -> None:
    """One codebook, independent codes, each kept or drawn anew. The ideal listener knows how often, and is asked about the same clips."""
    rng = np.random.default_rng(2)
    clean = {clip: Stream(rng.integers(4, size=(200, 1)), 10.0) for clip in IDS}
    noisy = {
        clip: Stream(np.where(rng.random((200, 1)) < kept, s.codes, rng.integers(4, size=(200, 1))), 10.0) for clip, s in clean.items()
    }
    path, right = tmp_path / "plain.safetensors", kept + (1 - kept) / 4
    same = np.concatenate([clean[clip].codes == noisy[clip].codes for clip in TEST])
    exact = 2 + np.where(same, np.log2(right), np.log2((1 - right) / 3)).mean()
    plain = bits_per_s(replace(training(clean, 40, 1), keep=path))
    given = bits_per_s(replace(training(clean, 300, 1), start=path, beside=other(noisy, clean)))
    print(f"kept {kept}: exact {exact / 2:.4f}, measured {1 - given / plain:.4f}")
    assert 1 - given / plain == pytest.approx(exact / 2, abs=0.01)


def test_what_is_told_leaves_the_model_as_it_was(weights: tuple[Path, float]) -> None:
    """Before the first step it pays what the plain one pays, and no weight of that one learns."""
    plain = Coder(replace(training(STREAMS, 20), start=weights[0]))
    told = Coder(replace(training(STREAMS, 20), start=weights[0], beside=text(SAID, SECONDS, TRAIN)))
    assert all(np.allclose(told.log_p([clip])[clip], plain.log_p([clip])[clip], atol=1e-5) for clip in TEST[:3])
    assert not any(p.requires_grad for p in told.plain.parameters()) and any(p.requires_grad for p in told.model.parameters())


def test_letters_have_numbers_and_unknown_ones_have_one() -> None:
    found = text({"a": "abc", "b": "az?"}, {"a": 1.5, "b": 1.0}, ["a"])
    assert [found.letters[clip].tolist() for clip in "ab"] == [[2, 3, 4], [2, 1, 1]] and (found.size, found.rate) == (4, 2.0)


def test_frames_know_how_far_letters_are_in_a_later_window_too() -> None:
    letters, lag = Text({"a": np.array([2, 3])}, 4, 2.0).batch([Window("a", 10, 12, 10)], 10.0)
    assert letters.tolist() == [[2, 3]]
    assert torch.allclose(lag, torch.tensor([[[0.75, 0.25], [0.85, 0.35]]]))


def test_the_other_version_is_as_long_and_a_missing_one_has_no_codes() -> None:
    of = {"a": Stream(np.zeros((3, 1), np.uint8), 1.0), "b": Stream(np.zeros((2, 1), np.uint8), 1.0)}
    found = other({"a": Stream(np.array([[1], [2]], np.uint8), 1.0)}, of)
    assert found.streams["a"].codes.tolist() == [[1], [2], [2]] and found.streams["b"].codes.tolist() == [[-1], [-1]]


def test_a_digest_tells_what_is_told_apart() -> None:
    one, two = (Other({"a": Stream(np.array([[code]]), 1.0)}) for code in (1, 2))
    assert digest(one) == digest(Other(dict(one.streams))) != digest(two)
    assert digest(Text({"a": np.array([1])}, 2, 1.0)) != digest(Text({"a": np.array([2])}, 2, 1.0))
