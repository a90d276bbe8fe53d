"""Acoustic BPE: exact, learnt by hand, and the same as Hugging Face's tokenizers (the trainer of codec-bpe) where they are installed."""

import json

import numpy as np
import pytest

from bench.api import Codebook, Spec, UserError
from bench.tokens import bpe


def spec(*sizes: int) -> Spec:
    return Spec("s", "v", 16_000, tuple(Codebook(size, 50.0) for size in sizes))


def chains(rng: np.random.Generator, books: int, size: int) -> list[np.ndarray]:
    """Codes [books, F] of a few clips, in which some codes follow others."""
    table = rng.dirichlet(np.full(size, 0.3), size)
    found = []
    for _ in range(10):
        codes = np.zeros((books, rng.integers(3, 200)), dtype=np.int64)
        for k in range(books):
            for t in range(1, codes.shape[1]):
                codes[k, t] = rng.choice(size, p=table[codes[k, t - 1]])
        found.append(codes)
    return found


def test_merges_by_hand() -> None:
    """0 1 comes three times, then 01 2 twice; of 0 0 0 the two on the left are merged."""
    learnt = bpe.learn([np.array([0, 1, 2, 3, 0, 1, 2, 0, 1])], 4, 9)
    assert learnt.merges == ((0, 1), (4, 2)) and learnt.spelt[4:] == [(0, 1), (0, 1, 2)]
    assert learnt.encode(np.array([0, 0, 1, 2, 1])).tolist() == [0, 5, 1]
    assert bpe.learn([np.zeros(3, dtype=int)], 1, 1).encode(np.zeros(3, dtype=int)).tolist() == [1, 0]


def test_pairs_do_not_cross_from_clip_to_clip() -> None:
    assert bpe.learn([np.array([0, 1]), np.array([2, 0]), np.array([1, 2])], 3, 5).merges == ()


def test_letters_are_those_of_the_paper_and_go_back() -> None:
    three = spec(4, 4, 8)
    codes = np.array([[0, 3], [1, 2], [7, 0]])
    assert bpe.letters(codes, three).tolist() == [0, 5, 15, 3, 6, 8]
    assert bpe.text(bpe.letters(codes, three), three) == "".join(chr(0x4E00 + i) for i in (0, 5, 15, 3, 6, 8))
    assert (bpe.codes(bpe.from_text(bpe.text(bpe.letters(codes, three), three), three), three) == codes).all()
    large = spec(32_768, 32_768)
    assert bpe.text(np.array([0]), large) == chr(0xE000) and bpe.text(np.array([65_535]), large).encode()
    with pytest.raises(UserError, match="more than Unicode has letters"):
        bpe.text(np.array([0]), spec(2**20, 2**17))


def test_decoding_is_the_inverse_on_codes_it_never_saw() -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        books, size = int(rng.integers(1, 4)), int(rng.integers(2, 10))
        clips = [bpe.letters(codes, spec(*[size] * books)) for codes in chains(rng, books, size)]
        learnt = bpe.learn(clips[:5], books * size, 60)
        assert all((learnt.decode(learnt.encode(clip)) == clip).all() for clip in clips)
        assert sum(len(learnt.encode(clip)) for clip in clips[:5]) < sum(map(len, clips[:5]))


@pytest.mark.parametrize("seed", range(6))
def test_merges_vocabulary_and_tokens_are_those_of_hugging_face(seed: int) -> None:
    hub = pytest.importorskip("tokenizers", reason="Hugging Face's tokenizers are not installed (they come with transformers)")
    rng = np.random.default_rng(seed)
    books, size = int(rng.integers(1, 4)), int(rng.integers(2, 12))
    shape = spec(*[size] * books)
    clips = [bpe.letters(codes, shape) for codes in chains(rng, books, size)]
    theirs = hub.Tokenizer(hub.models.BPE())
    alphabet = list(bpe.text(np.arange(books * size), shape))
    trainer = hub.trainers.BpeTrainer(
        vocab_size=books * size + 100, min_frequency=2, initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False
    )
    theirs.train_from_iterator([bpe.text(clip, shape) for clip in clips], trainer)
    merges = json.loads(theirs.to_str())["model"]["merges"]
    ours = bpe.learn(clips, books * size, len(merges))
    assert [tuple(theirs.token_to_id(part) for part in pair) for pair in merges] == list(ours.merges)
    assert len(ours.spelt) == theirs.get_vocab_size()
    assert all(theirs.encode(bpe.text(clip, shape)).ids == ours.encode(clip).tolist() for clip in clips)
    fresh = bpe.letters(chains(rng, books, size)[0], shape)
    assert theirs.encode(bpe.text(fresh, shape)).ids == ours.encode(fresh).tolist()
