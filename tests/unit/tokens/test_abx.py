"""ABX on codes: distances and errors worked out by hand, the order of means, and the authors' library where it is installed."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from bench.data.alignments import Item
from bench.tokens import abx
from bench.tokens.abx import Token, across, distances, errors, frames, within

C = ("k", "t")


def token(voice: str, name: str, *codes: int, context: tuple[str, str] = C) -> Token:
    return Token(voice, name, context, np.array([codes]))


def test_distances_by_hand() -> None:
    """aab against ab: one path of no cost. abc against axc: one of three steps differs. ab against cd: 2 of 2, along the diagonal."""
    pairs = [("aab", "ab"), ("abc", "axc"), ("ab", "cd"), ("a", "bbb"), ("abca", "a")]
    found = distances([tuple(np.array([[ord(c) for c in text]]) for text in pair) for pair in pairs])  # type: ignore[misc]
    assert found[:, 0] == pytest.approx([0, 1 / 3, 1, 1, 2 / 4]) and (found[:, 0] == found[:, 1]).all()


def by_cells(cost: np.ndarray) -> float:
    """The definition, cell by cell: of predecessors that cost the same the diagonal, then the one before along the second axis."""
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for i, j in itertools.product(*map(range, cost.shape)):
        before = [best[cell] for cell in ((i - 1, j - 1), (i, j - 1), (i - 1, j)) if cell in best]
        total, steps = min(before, key=lambda one: one[0]) if before else (0.0, 0)
        best[i, j] = (total + cost[i, j], steps + 1)
    total, steps = best[cost.shape[0] - 1, cost.shape[1] - 1]
    return total / steps


def test_the_batched_warp_is_the_definition_and_codebooks_are_averaged_within_it() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(0, 3, (2, rng.integers(1, 9))), rng.integers(0, 3, (2, rng.integers(1, 9)))) for _ in range(200)]
    for (x, y), found in zip(pairs, distances(pairs), strict=True):
        unlike = (x[:, :, None] != y[:, None, :]).astype(float)
        assert found == pytest.approx([by_cells(unlike.mean(0)), by_cells(unlike[0]), by_cells(unlike[1])])


def test_an_error_by_hand_ties_half() -> None:
    """x = a1 or a2: with b alike to a1, x = a1 is nearer to b (wrong), x = a2 is as far from both (half)."""
    tokens = [token("s", "ih", 1, 1), token("s", "ih", 2, 2), token("s", "ae", 1, 1)]
    (cell,) = within(tokens, 0)  # ae comes once: it is no a
    assert errors(tokens, [cell]) == pytest.approx([0.75, 0.75])


def test_means_are_over_contexts_then_voices_then_phones() -> None:
    """Voice s errs in one of two contexts, voice t in its only one; x = p is then wrong by .75, and x = q by .25."""
    right, wrong = ((1, 1), (1, 1), (2, 2), (2, 2)), ((1, 1), (3, 3), (1, 1), (1, 1))
    tokens = []
    for voice, context, codes in (("s", C, right), ("s", ("a", "b"), wrong), ("t", C, wrong)):
        tokens += [token(voice, name, *code, context=context) for name, code in zip("ppqq", codes, strict=True)]
    found = within(tokens, 0)
    assert len(found) == 6
    assert errors(tokens, found)[0] == pytest.approx(((0.75 / 2 + 0.75) / 2 + (0.25 / 2 + 0.25) / 2) / 2)


def test_cells_of_one_voice_and_of_two() -> None:
    tokens = [token("s", "p", 1), token("s", "p", 1), token("s", "q", 2), token("t", "p", 1), token("t", "q", 2, context=("a", "b"))]
    (one,) = within(tokens, 0)
    assert (one.phones, one.voice, one.a, one.b, one.x) == (("p", "q"), "s", (0, 1), (2,), (0, 1))
    (two,) = across(tokens, 0)
    assert (two.phones, two.voice, two.a, two.b, two.x) == (("p", "q"), "s", (0, 1), (2,), (3,))


def test_no_more_than_ten_of_a_kind_and_five_voices() -> None:
    tokens = [token(f"s{i % 8}", "pq"[i // 96], i) for i in range(192)]
    assert {len(cell.a) for cell in across(tokens, 0)} == {10} and len(across(tokens, 0)) == 2 * 8 * 5
    assert {len(cell.a) for cell in across(tokens, 0, None, None)} == {12} and len(across(tokens, 0, None, None)) == 2 * 8 * 7


def test_frames_are_those_whose_middles_lie_within() -> None:
    assert frames(Item("p", "a", "b", 0.1, 0.2)) * 100 == pytest.approx(np.arange(10, 20) + 0.5)
    assert frames(Item("p", "a", "b", 0.106, 0.194)) * 100 == pytest.approx(np.arange(11, 19) + 0.5)


def drawn(rng: np.random.Generator, noise: float) -> list[Token]:
    """Three phones in four contexts by three voices; some codes are the phone's, the others anything."""
    tokens = []
    for _ in range(240):
        name, context, voice = (int(rng.integers(n)) for n in (3, 4, 3))
        codes = np.where(rng.random((1, rng.integers(3, 12))) < noise, rng.integers(0, 3, 1), name)
        tokens.append(Token(f"s{voice}", f"p{name}", (f"c{context}", "d"), codes))
    return tokens


def test_phones_as_codes_make_no_error_and_random_codes_half() -> None:
    rng = np.random.default_rng(0)
    sure, chance = drawn(rng, 0.0), [[], []]
    assert errors(sure, within(sure, 0))[0] == errors(sure, across(sure, 0))[0] == 0
    for _ in range(8):
        tokens = [Token(t.voice, t.name, t.context, rng.integers(0, 50, t.codes.shape)) for t in drawn(rng, 0.0)]
        for found, cells in zip(chance, (within(tokens, 0), across(tokens, 0)), strict=True):
            found.append(errors(tokens, cells)[0])
    assert np.mean(chance, axis=1) == pytest.approx(0.5, abs=0.01)


def test_the_authors_library_agrees_on_an_item_file(tmp_path: Path) -> None:
    fastabx = pytest.importorskip(
        "fastabx", reason="fastabx is not installed (it needs Python 3.12: pip install --no-deps fastabx torchdtw polars)"
    )
    torch = pytest.importorskip("torch")
    tokens = drawn(np.random.default_rng(1), 0.7)
    lines, start, codes = ["#file onset offset #phone prev-phone next-phone speaker"], 0, []
    for one in tokens:
        n = one.codes.shape[1]
        lines.append(f"a {start / 100:.2f} {(start + n) / 100:.2f} {one.name} {' '.join(one.context)} {one.voice}")
        codes += [*one.codes[0].tolist(), 0, 0]
        start += n + 2
    (tmp_path / "x.item").write_text("\n".join(lines) + "\n")
    torch.save(torch.tensor(codes, dtype=torch.float32)[:, None], tmp_path / "a.pt")
    for speaker, cells in (("within", within(tokens, 0, None)), ("across", across(tokens, 0, None, None))):
        theirs = fastabx.zerospeech_abx(
            tmp_path / "x.item", tmp_path, max_size_group=None, max_x_across=None, speaker=speaker, distance="identical", frequency=100
        )
        assert errors(tokens, cells)[0] == pytest.approx(theirs, abs=1e-3)
    assert abx.RATE == 100
