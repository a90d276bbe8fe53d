"""Gradient balancing (EnCodec, arxiv.org/abs/2210.13438, section 3.4): a loss's weight is its share of the gradient that the decoder gets.

Without it the weight of a loss means nothing by itself: it multiplies a gradient whose size nobody chose, and which changes as training
goes on.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Balancer:
    """Adds up gradients at a waveform, each brought to its share of `total` by a moving average of its own norm."""

    def __init__(self, shares: Mapping[str, float], total: float = 1.0, decay: float = 0.999):
        self.shares, self.total, self.decay = dict(shares), total, decay
        self.sums: dict[str, float] = {}  # of norms, and of their weights: the average is right from the first step on
        self.weights: dict[str, float] = {}

    def gradient(self, losses: Mapping[str, Tensor], est: Tensor) -> Tensor:
        """d(all losses) / d(est), est [B, ...]: shares count among the losses that are there. The graph is kept."""
        whole = sum(self.shares[name] for name in losses)
        gradient = torch.zeros_like(est)
        for name, loss in losses.items():
            if not self.shares[name]:
                continue
            (own,) = torch.autograd.grad(loss, est, retain_graph=True)
            norm = float(torch.linalg.vector_norm(own.flatten(1), dim=1).mean())  # of an item
            if norm < float("inf"):  # one broken batch must not stay in the average
                self.sums[name] = self.decay * self.sums.get(name, 0.0) + (1 - self.decay) * norm
                self.weights[name] = self.decay * self.weights.get(name, 0.0) + 1 - self.decay
            average = self.sums.get(name, 0.0) / self.weights.get(name, 1.0)
            gradient += own * (self.total * self.shares[name] / whole / max(average, 1e-12))
        return gradient

    def state_dict(self) -> dict[str, object]:
        """The moving averages."""
        return {"sums": dict(self.sums), "weights": dict(self.weights)}

    def load_state_dict(self, state: Mapping[str, dict[str, float]]) -> None:
        """Go on from saved averages."""
        self.sums, self.weights = dict(state["sums"]), dict(state["weights"])
