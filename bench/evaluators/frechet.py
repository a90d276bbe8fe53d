"""Fréchet audio distance (Kilgour et al. 2019, arxiv.org/abs/1812.08466): how far embeddings of reconstructions lie from the originals'.

Both sets of embeddings are taken as normal distributions; the distance is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It is biased: of
fewer embeddings it is larger. FAD-inf (Gui et al. 2024, arxiv.org/abs/2311.01616) is what a line over 1/n, through the distances of n
reconstructed embeddings drawn anew, says of infinitely many; as in the package fadtk: 25 sizes from 500 to all, drawn with replacement,
but from a fixed seed. A distance is one of a set and of an embedding, whose name belongs to the column.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bench.api import Score

Array = NDArray[np.float64]
SIZES, FEWEST, SEED = 25, 500, 0


def distance(ref: Array, est: Array) -> float:
    """Of two sets of embeddings [N, D] and [M, D], N and M >= 2."""
    (mean1, cov1), (mean2, cov2) = ((x.mean(0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (ref, est))
    return _between(mean1, cov1, mean2, cov2, _root(cov1))


def infinite(ref: Array, est: Array, seed: int = SEED) -> float:
    """The distance of infinitely many reconstructed embeddings; NaN of fewer than 500 or so."""
    if len(est) < FEWEST + SIZES:
        return math.nan
    generator = np.random.default_rng(seed)
    mean, cov = ref.mean(0), np.atleast_2d(np.cov(ref, rowvar=False))
    root = _root(cov)
    sizes = np.linspace(FEWEST, len(est), SIZES).astype(int)
    found = []
    for size in sizes:
        drawn = est[generator.choice(len(est), size)]
        found.append(_between(mean, cov, drawn.mean(0), np.atleast_2d(np.cov(drawn, rowvar=False)), root))
    return float(np.polyfit(1 / sizes, found, 1)[1])


def scores(ref: Array, est: Array) -> tuple[Score, Score]:
    """FAD and FAD-inf of the embeddings of a domain, each weighed by how many there are; NaN with the reason where there are too few."""
    if min(len(ref), len(est)) < 2:
        missing = Score(math.nan, 0.0, "fewer than two embeddings")
        return missing, missing
    limit = infinite(ref, est)
    note = f"{len(est)} embeddings: FAD-inf needs {FEWEST + SIZES}" if math.isnan(limit) else ""
    return Score(distance(ref, est), len(est)), Score(limit, len(est), note)


def _root(cov: Array) -> Array:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(cov)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _between(mean1: Array, cov1: Array, mean2: Array, cov2: Array, root1: Array) -> float:
    """C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2), which are real and not negative."""
    values = np.linalg.eigvalsh(root1 @ cov2 @ root1)
    apart = mean1 - mean2
    return float(apart @ apart + np.trace(cov1) + np.trace(cov2) - 2 * np.sqrt(values.clip(min=0)).sum())
