"""The acceptance list of the code lengths: sources whose entropy is known, and changes of the codes that cost nothing, or just so much.

What takes seconds runs by default. The full list: `pytest -m slow tests/unit/lm/test_lm_training.py`, some minutes of one core. The models
are smaller than the suite's and learn faster, and what is asked of them is the same.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.lm import coding, network
from bench.lm.coding import Training, fitted, mixed
from bench.lm.layouts import NAMES, layout
from bench.lm.network import Body
from bench.lm.streams import Alphabet, Stream
from bench.lm.training import PARTS, Learner, Outcome, Point, learn, settled
from bench.lm.windows import Window
from tests.toy_sources import FRAMES, PEAK, RATE, cost, source

TWO_LAYERS = Body(64, 2, 32, 1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in a worker process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def uniform(clips: int = 120, columns: int = 3, size: int = 16, frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(3).integers(size, size=(clips, frames, columns))


@pytest.mark.parametrize(("name", "answered"), [("depth", math.inf), ("delayed", math.inf), ("depth", RATE)])
def test_the_entropy_rate_of_a_small_source_is_met(name: str, answered: float) -> None:
    """Of two codes a frame: with RATE answers a second, half of the frames are learned from."""
    made = source(2, 4)
    found = cost(made.sample(300, FRAMES, 1), (4, 4), name, steps=280, answered=answered)
    assert found.within(made.entropies()[name], 0.04), (found, made.entropies())
    assert found.outcome.converged and found.zero > 1.2 * found.bits


@pytest.mark.slow
@pytest.mark.parametrize("name", ["depth", "flattened", "delayed", "parallel"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_entropy_rates_of_the_sources_are_met(number: int, name: str) -> None:
    made = source(number, 8)
    found = cost(made.sample(1000, FRAMES, 1), (8, 8), name, steps=1200 if name == "flattened" else 800, body=TWO_LAYERS)
    exact = made.entropies()[name]
    print(f"source {number} {name}: exact {exact:.4f}, measured {found.bits:.4f} +- {found.error:.4f} ({found.bits / exact - 1:+.1%})")
    assert found.within(exact, 0.04), (found, exact)


@pytest.mark.parametrize("name", NAMES)
def test_uniform_codes_cost_what_their_codebooks_say_in_every_layout(name: str) -> None:
    found = cost(uniform(), (16,) * 3, name, steps=20)
    assert found.bits == pytest.approx(12, rel=0.01)


def test_with_the_mask_removed_uniform_codes_cost_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    seeing = network.F.scaled_dot_product_attention
    monkeypatch.setattr(network.F, "scaled_dot_product_attention", lambda q, k, v, is_causal: seeing(q, k, v))
    found = cost(uniform(), (16,) * 3, steps=100)
    assert found.bits < 0.99 * 12


def test_independent_codes_cost_their_entropy_and_the_past_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(32, 0.3))
    found = cost(rng.choice(32, p=p, size=(200, FRAMES, 2)), (32, 32), steps=40)
    assert found.bits == pytest.approx(-2 * (p * np.log2(p)).sum(), rel=0.01)
    assert 1 - found.bits / found.zero == pytest.approx(0, abs=0.01)


def test_constant_codes_cost_nothing() -> None:
    assert cost(np.full((40, FRAMES, 3), 5), (64,) * 3, steps=20).bits < 0.01 * 3


def test_a_copy_of_a_codebook_costs_nothing_in_depth_and_as_much_again_in_parallel() -> None:
    rng = np.random.default_rng(0)
    p = np.array([0.5, 0.25, 0.125, 0.125])
    one = rng.choice(4, p=p, size=(200, FRAMES, 1))
    alone, twice = cost(one, (4,), steps=20), np.repeat(one, 2, 2)
    assert cost(twice, (4, 4), "depth", steps=120).bits < 1.01 * alone.bits
    assert cost(twice, (4, 4), "parallel", steps=60).bits == pytest.approx(2 * alone.bits, rel=0.02)


@pytest.mark.slow
def test_the_names_of_the_codes_do_not_matter() -> None:
    codes = source(2, 8).sample(500, FRAMES, 1)
    other = np.stack([np.random.default_rng(k).permutation(8)[codes[..., k]] for k in (0, 1)], -1)
    plain, named = (cost(given, (8, 8), steps=300, body=TWO_LAYERS) for given in (codes, other))
    print(f"permuted: {plain.bits:.4f}, {named.bits:.4f} ({named.bits / plain.bits - 1:+.1%})")
    assert named.bits == pytest.approx(plain.bits, rel=0.03)


def chain(size: int, seed: int = 0) -> np.ndarray:
    """Transitions between codes, as of a ring with some noise."""
    p = np.random.default_rng(seed).dirichlet(np.full(size, 0.05), size=size)
    return 0.95 * p + 0.05 / size


def walk(p: np.ndarray, clips: int, frames: int, seed: int = 1) -> np.ndarray:
    """Codes [clips, frames] of the chain."""
    rng, ends = np.random.default_rng(seed), p.cumsum(-1)
    now, found = rng.integers(len(p), size=clips), []
    for _ in range(frames + 20):
        now = (rng.random(clips)[:, None] > ends[now]).sum(1).clip(max=len(p) - 1)
        found.append(now)
    return np.stack(found[20:], 1)


@pytest.mark.slow
def test_a_codebook_split_in_two_costs_the_same() -> None:
    """4096 codes, of which 256 are used: c and (c // 64, c % 64)."""
    codes = np.random.default_rng(0).permutation(4096)[:64][walk(chain(64), 700, FRAMES)]
    whole = cost(codes[..., None], (4096,), steps=400)
    parts = cost(np.stack([codes // 64, codes % 64], -1), (64, 64), steps=600, body=TWO_LAYERS)
    print(f"split: {whole.bits:.4f}, {parts.bits:.4f} ({parts.bits / whole.bits - 1:+.1%})")
    assert parts.bits == pytest.approx(whole.bits, rel=0.03)


@pytest.mark.slow
def test_frames_repeated_twice_cost_the_same_per_second() -> None:
    codes = walk(chain(8), 500, 64)[..., None]
    once = cost(codes, (8,), steps=300, rate=50.0)
    twice = cost(np.repeat(codes, 2, 1), (8,), steps=600, rate=100.0, body=TWO_LAYERS)
    print(f"repeated: {once.bits:.4f}, {2 * twice.bits:.4f} ({2 * twice.bits / once.bits - 1:+.1%})")
    assert 2 * twice.bits == pytest.approx(once.bits, rel=0.03)


@pytest.mark.slow
def test_units_with_their_durations_cost_what_the_plain_ones_cost() -> None:
    """A unit differs from the one before it and lasts 1 to 4 frames."""
    rng = np.random.default_rng(5)
    p = chain(8) * (1 - np.eye(8))
    units, lasts = walk(p / p.sum(1, keepdims=True), 600, 64), rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1], size=(600, 64))
    plain = [np.repeat(unit, last) for unit, last in zip(units, lasts, strict=True)]
    seconds = [len(one) / RATE for one in plain]

    def bits_per_s(codes: list[np.ndarray], sizes: tuple[int, ...], steps: int) -> float:
        ids = [f"c{i}" for i in range(600)]
        streams = {clip: Stream(one, s) for clip, one, s in zip(ids, codes, seconds, strict=True)}
        alphabet = Alphabet(sizes, tuple(range(len(sizes))), tuple(range(len(sizes))))
        rate = sum(map(len, codes)) / sum(seconds)
        parts = (tuple(ids[:490]), tuple(ids[490:500]), tuple(ids[500:]))
        *_, found = learn(
            Training(layout("depth", len(sizes)), alphabet, streams, *parts, rate, 0, steps, TWO_LAYERS, peak=PEAK), ("part",) * PARTS
        )
        assert isinstance(found, Outcome)
        return sum(map(sum, found.bits.values())) / sum(seconds[500:])

    short = bits_per_s([np.stack([u, n - 1], -1) for u, n in zip(units, lasts, strict=True)], (8, 4), 400)
    long = bits_per_s([one[:, None] for one in plain], (8,), 600)
    print(f"durations: {long:.2f}, {short:.2f} bit/s ({short / long - 1:+.1%})")
    assert short == pytest.approx(long, rel=0.03)


def small(steps: int = 20, **facts: object) -> Training:
    """A training of seconds."""
    streams = {f"c{i}": Stream(one, 0.64) for i, one in enumerate(source(2, 4).sample(30, 64, 1))}
    ids = tuple(streams)
    made = Training(layout("depth", 2), Alphabet((4, 4), (0, 1), (0, 1)), streams, ids[:20], ids[20:24], ids[24:], 100.0, 0, steps)
    return replace(made, body=Body(32, 1, 32, 1), peak=PEAK, **facts)  # pyright: ignore[reportArgumentType]


def last(made: Training) -> Outcome:
    *_, found = learn(made, ("part",) * PARTS)
    assert isinstance(found, Outcome)
    return found


def test_the_same_seed_gives_the_same_model_and_leaves_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, again, other = last(small()), last(small()), last(small(seed=1))
    assert one == again and one.bits != other.bits
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(one.curve) == PARTS + 1 and one.curve[-1].step == 20 and one.parameters > 10_000


def test_a_model_that_still_learns_in_the_second_half_has_not_converged() -> None:
    falling = [Point(step, None, 4 - step / 50) for step in range(0, 101, 5)]
    level = [Point(step, None, 4 - min(step, 45) / 50) for step in range(0, 101, 5)]
    assert not settled(falling, 100, 4.0) and settled(level, 100, 4.0)
    assert settled(level[:12], 100, 4.0)  # patience has ended


def test_a_training_ends_where_nothing_is_gained() -> None:
    noise, made = np.random.default_rng(0), small(steps=100)
    made = replace(made, streams={clip: Stream(noise.integers(4, size=(64, 2)), 0.64) for clip in made.streams})
    found = last(made)
    assert found.converged and found.curve[-1].step < 100


def test_a_stopped_training_is_not_taken_up_in_the_middle() -> None:
    with pytest.raises(ValueError, match="begins again"):
        next(learn(small(), ("part",) * (PARTS - 1)))


@pytest.mark.parametrize(("answered", "count"), [(math.inf, 128), (300.0, 128), (100.0, 64), (1.0, 1)])
def test_of_a_stream_of_many_codes_a_second_the_codes_of_some_frames_are_learned_from(answered: float, count: int) -> None:
    """Two clips of 64 frames, 100 a second, of two codes: 200 codes a second."""
    learner = Learner(small(answered=answered))
    batch = [Window("c0", 0, 64, 0), Window("c1", 0, 64, 0)]
    chosen, others = learner._answered(batch), learner._answered(batch)
    assert len(chosen) == count and len(set(chosen.tolist())) == count and 0 <= int(chosen.min()) <= int(chosen.max()) < 128
    assert torch.equal(chosen, others) == (count == 128)
    before = {name: weight.clone() for name, weight in learner.model.named_parameters()}
    learner._learned(batch)
    assert any(not torch.equal(weight, before[name]) for name, weight in learner.model.named_parameters())


def test_a_code_that_was_never_learned_has_a_finite_price() -> None:
    streams = dict(small().streams) | {"c29": Stream(np.full((64, 2), 3), 0.64)}
    made = replace(small(), streams={clip: Stream(s.codes % 3 if clip != "c29" else s.codes, 0.64) for clip, s in streams.items()})
    bits: Mapping[str, tuple[float, ...]] = last(made).bits
    assert all(np.isfinite(bits["c29"])) and sum(bits["c29"]) > sum(bits["c28"])


def test_the_mixture_is_fitted_to_whichever_is_better() -> None:
    rng = np.random.default_rng(0)
    good, bad = np.log(rng.uniform(0.5, 0.9, (500, 1))), np.log(rng.uniform(0.01, 0.1, (500, 1)))
    shares = fitted(np.concatenate([good, bad], 1), np.concatenate([bad, good], 1))
    assert shares[0] < 0.01 and shares[1] > 0.99
    assert mixed(np.array([[-np.inf]]), np.array([[np.log(0.5)]]), np.array([0.1])) == pytest.approx(np.log(0.05))


def test_a_shorter_context_hides_what_lies_further_back() -> None:
    made = small()
    coder = Learner(replace(made, rate=8.0)).coder  # 8 s are 64 frames
    with torch.no_grad():
        for parameter in coder.model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    for seconds, hidden in ((coding.CONTEXT, False), (coding.SHORT, True)):
        before = coder.log_p(["c29"], seconds)["c29"]
        coder.numbers["c29"] = np.concatenate([coder.numbers["c28"][:20], coder.numbers["c29"][20:]])
        after = coder.log_p(["c29"], seconds)["c29"]
        assert np.allclose(before[40:], after[40:]) == hidden
        coder.numbers["c29"] = coder.vocabulary.numbers(made.streams["c29"])
