"""Losses that keep a residual quantizer's codes in use and its levels different (ERVQ: Zheng et al. 2024, arxiv.org/abs/2410.12359).

They train; what a quantizer encodes and decodes stays the same. The third of the paper's means, to start unused codes anew near what comes,
is what the codebooks of moving averages do (bench.nn.quantize).
"""

from __future__ import annotations

import math

from torch import Tensor

STABLE = 1e-4, 9e-4  # SSIM's constants for values of unit size: (.01 and .03) squared


def balance_loss(scores: Tensor) -> Tensor:
    """Scores [N, S] of N points for S codes, logits -> how far their mean use is from even, nats: 0 (even) to log S (one code for all).

    The mean over the points of the softmax of scores, and its Kullback-Leibler divergence from the uniform distribution.
    """
    log_use = scores.log_softmax(-1).logsumexp(0) - math.log(len(scores))
    return (log_use.exp() * log_use).sum() + math.log(scores.shape[-1])


def similarity_loss(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, doi.org/10.1109/TIP.2003.819861) of two levels' vectors, [B, D, F] each: -1 to 1 (equal).

    Mean, variance and covariance are those over D, and the mean over all frames is given.
    """
    first_mean, second_mean = first.mean(1), second.mean(1)
    first, second = first - first_mean[:, None], second - second_mean[:, None]
    one, two = STABLE
    level = (2 * first_mean * second_mean + one) / (first_mean.square() + second_mean.square() + one)
    shape = (2 * (first * second).mean(1) + two) / (first.square().mean(1) + second.square().mean(1) + two)
    return (level * shape).mean()
