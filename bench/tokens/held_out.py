"""What codes tell of a label, as a probe that never saw the clip shows: never too much, and more where there is more to learn from.

The probe is a smoothed table for each codebook, p(label | code), counted on other clips. A segment's score of a label in one codebook is
the mean of log p(label | code) / p(label) over its codes; the probability of a label is the softmax of log p(label) plus the weighted sum
of the scores. One weight for each codebook, and the smoothing (so many observations of the label shares, one of SMOOTHINGS), are fitted
by scores that tables of yet other clips give. Clips are dealt to FOLDS; it takes seconds on a CPU and has no training to converge.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

FOLDS = 5
SMOOTHINGS = (1.0, 4.0, 16.0)
MOST = 5000  # segments that weights and smoothing are fitted on
RIDGE = 1e-3  # on the weights, so that codebooks that say the same have weights at all
STEPS = 12  # of Newton's method at most


@dataclass(frozen=True)
class Told:
    """Bits that a segment tells of its label on the average, and those there are: the cross-entropy of the label shares alone."""

    bits: float
    entropy: float


def told(segments: Sequence[Sequence[np.ndarray]], labels: Sequence[str], groups: Sequence[str], seed: int) -> Told:
    """segments: of each the codes [n >= 1] of every table; labels, groups: one a segment; a group is never split. NaN for fewer than two
    labels, and fewer groups than folds."""
    names, label = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    _, group = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2 or len(set(group.tolist())) < FOLDS:
        return Told(math.nan, math.nan)
    random = np.random.default_rng(seed)
    fold = random.permutation(np.arange(group.max() + 1) % FOLDS)[group]
    tables = [_Table(codes, label, fold, len(names)) for codes in map(list, zip(*segments, strict=True))]
    counts = np.stack([np.bincount(label[fold == f], minlength=len(names)) for f in range(FOLDS)])
    gained, entropy = 0.0, 0.0
    for test in range(FOLDS):
        here = fold == test
        if not here.any():
            continue
        prior = _shares(counts.sum(0) - counts[test])
        smoothing, weights = _fitted(tables, counts, label, fold, test, random)
        scores = np.stack([table.scores(here, (test,), prior, smoothing) for table in tables], 1)
        right = label[here]
        gained += float((_log_p(scores, weights, prior)[np.arange(len(right)), right] - np.log(prior[right])).sum())
        entropy -= float(np.log(prior[right]).sum())
    return Told(gained / len(label) / math.log(2), entropy / len(label) / math.log(2))


class _Table:
    """How often each code of a codebook came with each label, by fold; the codes of a segment share one count."""

    def __init__(self, codes: Sequence[np.ndarray], label: np.ndarray, fold: np.ndarray, labels: int):
        sizes = np.array([len(part) for part in codes])
        used, code = np.unique(np.concatenate(codes), return_inverse=True)
        rows = np.repeat(np.arange(len(codes)), sizes)
        self.shares = sparse.csr_matrix((1 / np.repeat(sizes, sizes), (rows, code)), shape=(len(codes), len(used)))
        is_label = sparse.csr_matrix((np.ones(len(label)), (np.arange(len(label)), label)), shape=(len(label), labels))
        self.counts = np.stack([(self.shares[fold == f].T @ is_label[fold == f]).toarray() for f in range(FOLDS)])

    def scores(self, segments: np.ndarray, without: tuple[int, ...], prior: np.ndarray, smoothing: float) -> np.ndarray:
        """[chosen segments, labels] by the tables without some folds; 0 for a code that the others never had."""
        counts = self.counts.sum(0) - self.counts[list(without)].sum(0)
        counts = counts.clip(min=0)  # rounding
        ratio = np.log((counts + smoothing * prior) / (counts.sum(1, keepdims=True) + smoothing)) - np.log(prior)
        return self.shares[segments] @ ratio


def _fitted(
    tables: Sequence[_Table], counts: np.ndarray, label: np.ndarray, fold: np.ndarray, test: int, random: np.random.Generator
) -> tuple[float, np.ndarray]:
    """Smoothing and weights [tables] with the least cross-entropy on the other folds, each scored by the tables of yet others."""
    chosen = np.flatnonzero(fold != test)
    if len(chosen) > MOST:
        chosen = np.sort(random.choice(chosen, MOST, replace=False))
    prior = _shares(counts.sum(0) - counts[test])
    found = []
    for smoothing in SMOOTHINGS:
        scores = np.zeros((len(chosen), len(tables), counts.shape[1]))
        for (k, table), inner in itertools.product(enumerate(tables), range(FOLDS)):
            part = fold[chosen] == inner
            if part.any():
                scores[part, k] = table.scores(chosen[part], (test, inner), prior, smoothing)
        weights, loss = _weights(scores, label[chosen], prior)
        found.append((loss, smoothing, weights))
    _, smoothing, weights = min(found, key=lambda one: one[0])
    return smoothing, weights


def _weights(scores: np.ndarray, right: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights [K] with the least cross-entropy for scores [n, K, labels], and that in nats; Newton's method on a convex function."""
    n, tables, _ = scores.shape
    weights, best, at_best = np.zeros(tables), math.inf, np.zeros(tables)
    of_right = scores[np.arange(n), :, right]
    for _ in range(STEPS):
        log_p = _log_p(scores, weights, prior)
        loss = -float(log_p[np.arange(n), right].mean()) + RIDGE / 2 * float(weights @ weights)
        if loss < best:
            improved, best, at_best = best - loss, loss, weights
            if improved < 1e-7:
                break
        p = np.exp(log_p)
        expected = np.einsum("nkc,nc->nk", scores, p)
        gradient = (expected - of_right).mean(0) + RIDGE * weights
        spread = np.einsum("nkc,njc,nc->kj", scores, scores, p, optimize=True) / n - expected.T @ expected / n
        step = np.linalg.solve(spread + RIDGE * np.eye(tables), gradient)
        weights = at_best - step if loss <= best else (weights + at_best) / 2  # halfway back where the step went too far
    return at_best, best


def _log_p(scores: np.ndarray, weights: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """log p(label) [n, labels] of each segment."""
    logits = np.log(prior) + np.einsum("nkc,k->nc", scores, weights)
    logits -= logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def _shares(counts: np.ndarray) -> np.ndarray:
    """Of labels, none of them 0."""
    return (counts + 0.5) / (counts + 0.5).sum()
