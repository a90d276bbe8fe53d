"""Sources of codes whose entropy rates are known exactly, for tests of bench/lm: two codebooks of N codes, a Markov chain of frames.

A is p(c1' | c1, c2), B is p(c2' | c1', c2), from the code before to the next. Entropies are in bits a frame.
"""

from dataclasses import dataclass

import numpy as np

from bench.lm.coding import Training
from bench.lm.layouts import layout
from bench.lm.network import Body
from bench.lm.streams import Alphabet, Stream
from bench.lm.training import PARTS, Outcome, learn

RATE, FRAMES = 100.0, 128  # of a clip
TINY, PEAK = Body(64, 1, 32, 1), 1e-2  # a model, and a rate at which it learns in few steps


@dataclass(frozen=True)
class Source:
    """Tables [N, N, N]."""

    a: np.ndarray
    b: np.ndarray

    def sample(self, clips: int, frames: int, seed: int) -> np.ndarray:
        """Codes [clips, frames, 2]."""
        rng, size = np.random.default_rng(seed), len(self.a)
        now, found = rng.integers(size, size=(clips, 2)), []
        for _ in range(frames + 50):
            first = _drawn(self.a[now[:, 0], now[:, 1]], rng)
            now = np.stack([first, _drawn(self.b[first, now[:, 1]], rng)], 1)
            found.append(now)
        return np.stack(found[50:], 1)

    def entropies(self) -> dict[str, float]:
        """The least that each layout can cost, by the chain rule: what is predicted in one step is as if independent."""
        step = np.einsum("ijk,kjl->ijkl", self.a, self.b)  # c1, c2 -> c1', c2'
        now = np.full(step.shape[:2], 1 / step[..., 0].size * step.shape[-1])
        for _ in range(2000):
            now = np.einsum("ij,ijkl->kl", now, step)
        both = np.einsum("ij,ijkl->ijkl", now, step)
        coarse, fine = _conditional(both.sum(3), 1), _conditional(both, 1)  # H(c1' | now), H(c2' | now, c1')
        last = np.einsum("ijkl,klm->jkm", both, self.a)  # c2, c1' -> c1''
        return {
            "depth": coarse + fine,
            "flattened": coarse + fine,
            "delayed": _conditional(both.sum(0), 1) + _conditional(last, 1),
            "parallel": coarse + _conditional(both.sum(2), 1),
            "zero": _conditional(now.sum(1), 1) + _conditional(now.sum(0), 1),
        }


def source(number: int, size: int) -> Source:
    """1: c1 is a chain by itself, fine given coarse; 2: c1 given the last fine code, too; 3: the same, fine nearly decided."""
    rng = np.random.default_rng(0)
    a = rng.dirichlet(np.full(size, 0.2), size=(size, size))
    b = rng.dirichlet(np.full(size, 0.02 if number == 3 else 0.2), size=(size, size))
    return Source(np.repeat(a[:, :1], size, 1) if number == 1 else a, b)


def _drawn(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(p))[:, None] > p.cumsum(-1)).sum(1).clip(max=p.shape[-1] - 1)


def _conditional(joint: np.ndarray, axes: int) -> float:
    """Entropy of the last axes, given the others."""
    given = joint.sum(axis=tuple(range(joint.ndim - axes, joint.ndim)), keepdims=True)
    return float(-(joint * np.log2(np.where(joint > 0, joint / np.where(given > 0, given, 1), 1))).sum())


@dataclass(frozen=True)
class Cost:
    """Bits a frame: of the model, its standard error over the clips of the test, and of the zero-order model."""

    bits: float
    error: float
    zero: float
    outcome: Outcome

    def within(self, exact: float, share: float) -> bool:
        """At most that share above the exact value, and not below it by more than two standard errors."""
        return exact - 2 * self.error <= self.bits <= (1 + share) * exact


def cost(codes: np.ndarray, sizes: tuple[int, ...], name: str = "depth", steps: int = 20, **facts: object) -> Cost:
    """What codes [clips, F, C] cost: 8 clips stop the learning, a sixth are the test."""
    clips, frames, columns = codes.shape
    rate = facts.pop("rate", RATE)
    assert isinstance(rate, float)
    ids = tuple(f"c{i}" for i in range(clips))
    streams = {clip: Stream(one, frames / rate) for clip, one in zip(ids, codes, strict=True)}
    alphabet = Alphabet(sizes, tuple(range(columns)), tuple(range(columns)))
    test = clips // 6
    parts = (ids[: -test - 8], ids[-test - 8 : -test], ids[-test:])
    training = Training(layout(name, columns), alphabet, streams, *parts, rate, 0, steps, **{"body": TINY, "peak": PEAK, **facts})  # type: ignore[arg-type]
    *_, outcome = learn(training, ("part",) * PARTS)
    assert isinstance(outcome, Outcome)
    bits = np.array([sum(found) for found in outcome.bits.values()]) / frames
    zero = np.mean(list(outcome.zero_order.values())) / frames
    return Cost(float(bits.mean()), float(bits.std(ddof=1) / len(bits) ** 0.5), float(zero), outcome)
