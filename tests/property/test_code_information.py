"""Information in codes does not depend on how many codes there are: junk, other names and split codebooks change nothing beyond the errors
that are stated here; and counting alone, or counting minus chance, does depend on it ("why counting fails")."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from bench.tokens import held_out, shared_information
from bench.tokens.mutual_information import Counted, of_label
from bench.tokens.phone_information import at, of_phones
from bench.tokens.shared_information import Compared, Counts, Pair, by_text, interval, lift, mutual

PHONES = 40
TRUE, ENTROPY = 2.355, 4.917  # bits that a code tells of its phone, and that there are
ZIPF, NOISE = 0.692267, 0.351734  # of the phones' shares, and the share of codes that are another draw's: they give TRUE and ENTROPY
SHARES = np.arange(1, PHONES + 1) ** -ZIPF / (np.arange(1, PHONES + 1) ** -ZIPF).sum()
JUNK = (1, 12, 100)


def source(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Phones, and the code that a noisy listener writes for each."""
    phone = rng.choice(PHONES, n, p=SHARES)
    return phone, np.where(rng.random(n) < NOISE, rng.choice(PHONES, n, p=SHARES), phone)


def junked(rng: np.random.Generator, code: np.ndarray, junk: int) -> np.ndarray:
    """The code with one of so many values that mean nothing."""
    return code * junk + rng.integers(0, junk, len(code))


def counted(code: np.ndarray, phone: np.ndarray, voices: int = 1) -> Counted:
    parts = np.array_split(np.arange(len(code)), voices)
    return of_phones(
        [code[p] for p in parts], [[f"p{i}" for i in phone[p]] for p in parts], [f"v{i}" for i in range(voices)], 0
    ).information


def test_the_source_has_the_information_it_is_said_to_have() -> None:
    joint = SHARES[:, None] * ((1 - NOISE) * np.eye(PHONES) + NOISE * SHARES[None])
    entropy = [-(p[p > 0] * np.log2(p[p > 0])).sum() for p in (SHARES, joint.sum(0), joint)]
    assert entropy[0] == pytest.approx(ENTROPY, abs=1e-3) and entropy[0] + entropy[1] - entropy[2] == pytest.approx(TRUE, abs=1e-3)


@pytest.mark.parametrize(
    ("n", "plug_in", "minus_chance", "adjusted", "bound"),
    [
        (2_000, (2.78, 3.69, 4.53), (2.26, 1.22, 0.29), (2.53, 2.45, 2.11), (2.15, 1.58, 0.45)),
        (60_000, (2.38, 2.56, 3.18), (2.36, 2.33, 1.89), (2.37, 2.45, 2.56), (2.34, 2.21, 1.98)),
    ],
)
def test_why_counting_fails(
    n: int, plug_in: Sequence[float], minus_chance: Sequence[float], adjusted: Sequence[float], bound: Sequence[float]
) -> None:
    """The measured table, within .2 bit: counting rises with the codebook, counting minus chance falls, the adjusted one stays."""
    rng = np.random.default_rng(0)
    phone, code = source(rng, n)
    for k, junk in enumerate(JUNK):
        with_junk = junked(rng, code, junk)
        found = counted(with_junk, phone, 20)
        values = [ENTROPY * share for share in (found.raw, found.raw - found.control, found.adjusted)]
        assert values == pytest.approx([plug_in[k], minus_chance[k], adjusted[k]], abs=0.2)
        assert abs(values[2] - TRUE) < 0.11 * TRUE
        if n == 2_000:
            told = held_out.told([[c[None]] for c in with_junk], [f"p{i}" for i in phone], [str(i % 50) for i in range(n)], 0)
            assert told.bits == pytest.approx(bound[k], abs=0.17) and told.bits < TRUE and told.entropy == pytest.approx(ENTROPY, abs=0.1)


def test_other_names_of_codes_change_nothing() -> None:
    rng = np.random.default_rng(1)
    phone, code = source(rng, 3000)
    other = rng.permutation(5000)[code]
    assert counted(other, phone, 5).adjusted == pytest.approx(counted(code, phone, 5).adjusted, abs=1e-9)
    told = [
        held_out.told([[c[None]] for c in one], [f"p{i}" for i in phone], [str(i % 30) for i in range(3000)], 0) for one in (code, other)
    ]
    assert told[0].bits == pytest.approx(told[1].bits, abs=1e-9)


def test_a_split_codebook_tells_a_probe_as_much_within_a_fiftieth() -> None:
    """Code and junk apart; split elsewhere, the parts are easier to learn than the whole, and never tell more than there is."""
    rng = np.random.default_rng(2)
    phone, code = source(rng, 3000)
    whole = code * 100 + rng.integers(0, 100, len(code))
    labels, groups = [f"p{i}" for i in phone], [str(i % 50) for i in range(len(phone))]
    plain = held_out.told([[c[None]] for c in code], labels, groups, 0)
    split = held_out.told([[c[None] // 100, c[None] % 100] for c in whole], labels, groups, 0)
    assert split.bits == pytest.approx(plain.bits, rel=0.02)
    both = held_out.told([[c[None] // 64, c[None] % 64] for c in whole], labels, groups, 0)
    assert held_out.told([[c[None]] for c in whole], labels, groups, 0).bits < both.bits < plain.bits + 0.02 < TRUE + 0.02


def test_a_copy_of_a_codebook_and_one_of_junk_add_nothing() -> None:
    rng = np.random.default_rng(3)
    phone, code = source(rng, 3000)
    labels, groups = [f"p{i}" for i in phone], [str(i % 50) for i in range(len(phone))]
    plain = held_out.told([[c[None]] for c in code], labels, groups, 0).bits
    junk = rng.integers(0, 500, len(code))
    assert held_out.told([[c[None], c[None]] for c in code], labels, groups, 0).bits == pytest.approx(plain, abs=0.02)
    assert held_out.told([[c[None], j[None]] for c, j in zip(code, junk, strict=True)], labels, groups, 0).bits == pytest.approx(
        plain, abs=0.03
    )


def test_random_codes_tell_nothing_however_slow_and_however_many_they_are() -> None:
    rng = np.random.default_rng(4)
    for size, rate in ((64, 50.0), (64, 12.5), (2048, 12.5)):
        values = []
        for _ in range(6):
            phone = np.repeat(rng.choice(PHONES, 1000, p=SHARES), rng.integers(2, 8, 1000))  # phones last, as slow codes do
            codes = at(rng.integers(0, size, len(phone)), rate, (np.arange(len(phone)) + 0.5) / 50)
            values.append(counted(codes, phone, 5).adjusted)
        assert abs(np.mean(values)) < 0.02, (size, rate)


def test_what_chance_tells_wholly_is_missing_and_not_huge() -> None:
    found = of_label([np.arange(50) + 50 * i for i in range(20)], [f"s{i % 4}" for i in range(20)], 0)
    assert found.control == pytest.approx(1.0) and math.isnan(Counted(1.0, 1.0).adjusted)


def compared(rng: np.random.Generator, texts: int = 20, junk: int = 1, mark: bool = False, unlike: bool = False) -> list[Compared]:
    """Two texts of 300 phones each, without noise, by voices a and b. `mark`: the voice is in its codes; `unlike`: b has its own."""
    found = []
    renamed = np.roll(np.arange(PHONES), 1)
    for text in range(texts):
        one, two = (rng.choice(PHONES, 300, p=SHARES) for _ in range(2))
        a, b, other = (junked(rng, codes, junk) for codes in (one, one, two))
        if unlike:
            b, other = renamed[b // junk] * junk + b % junk, renamed[other // junk] * junk + other % junk
        if mark:
            b, other = b + PHONES * junk, other + PHONES * junk
        places = np.arange(300)
        used = np.bincount(a, minlength=2 * PHONES * junk) @ np.bincount(other, minlength=2 * PHONES * junk) / 300**2
        found.append(Compared(f"text {text}", ("a", "b"), Pair(a, b, places, places), Pair(a, other, places, places), float(used)))
    return found


def test_phones_as_codes_share_their_renyi_entropy_and_all_of_it() -> None:
    bits, share = lift(by_text(compared(np.random.default_rng(5), 100)))
    assert bits.value == pytest.approx(-math.log2((SHARES**2).sum()), abs=0.1) and share.value == pytest.approx(1.0, abs=0.03)


def test_junk_changes_shared_bits_by_less_than_a_tenth() -> None:
    plain, with_junk = (lift(by_text(compared(np.random.default_rng(6), 60, junk)))[0].value for junk in (1, 4))
    assert with_junk == pytest.approx(plain, abs=0.1)


def test_a_voice_in_its_codes_is_missing_with_the_reason_and_its_mutual_information_stays() -> None:
    plain, marked, unlike = (compared(np.random.default_rng(7), **how) for how in ({}, {"mark": True}, {"unlike": True}))
    bits, share = lift(by_text(marked))
    assert math.isnan(bits.value) and math.isnan(share.value) and "coincide 0 times in the same text" in bits.note
    assert mutual(marked, 0) == mutual(plain, 0) and mutual(plain, 0).value == pytest.approx(ENTROPY, abs=0.1)
    assert mutual(unlike, 0).value == pytest.approx(mutual(plain, 0).value, abs=1e-9) and math.isnan(lift(by_text(unlike))[0].value)
    assert "more than 5 times as many are needed" in mutual(compared(np.random.default_rng(8), 1, junk=10), 0).note


def test_independent_codes_share_nothing_and_the_interval_says_so() -> None:
    rng = np.random.default_rng(9)
    inside = 0
    for _ in range(20):
        texts = by_text([shuffled(rng, one) for one in compared(rng, 12)])
        low, high = interval(texts, 0)
        inside += low.value < 0 < high.value
    assert inside >= 17
    assert "4 texts are read by two voices: 5 are needed" in interval(by_text(compared(rng, 4)), 0)[0].note


def shuffled(rng: np.random.Generator, one: Compared) -> Compared:
    """Its aligned codes in any order."""
    return Compared(
        one.text, one.voices, Pair(one.same.a, rng.permutation(one.same.b), one.same.at_a, one.same.at_b), one.other, one.any_equal
    )


def test_steps_that_last_are_one_coincidence() -> None:
    """30 equal steps of one pair of codes are one coincidence: too few, and not just enough."""
    pair = Pair(np.zeros(40, int), np.zeros(40, int), np.repeat(0, 40), np.repeat(0, 40))
    found: dict[str, Counts] = by_text([Compared("t", ("a", "b"), pair, pair, 1.0)])
    assert "coincide 1 times" in lift(found)[0].note and shared_information.FEWEST == 30
