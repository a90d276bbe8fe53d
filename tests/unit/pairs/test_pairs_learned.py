"""The model that is asked about pairs."""

import numpy as np
import pytest
import torch

from bench.lm.coding import Training
from bench.lm.layouts import layout
from bench.lm.network import BODIES, Body
from bench.lm.streams import Alphabet, Stream
from bench.lm.training import PATIENCE, Learner
from bench.pairs import learned
from bench.pairs.quads import Pair

STEPS, RATE = 40, 50.0


def test_it_has_learned_to_the_end_of_its_budget_though_nothing_is_gained_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BODIES, "small", Body(32, 1, 32, 1))
    known: list[Learner] = []

    class Kept(Learner):
        def __init__(self, training: Training, patience: int = PATIENCE):
            super().__init__(training, patience)
            known.append(self)

    monkeypatch.setattr(learned, "Learner", Kept)
    rng = np.random.default_rng(0)
    streams = {name: Stream(rng.integers(0, 4, (200, 1)), 200 / RATE) for name in ("learned", "right", "wrong")}
    streams["stops"] = Stream(np.zeros((200, 1), dtype=np.int64), 200 / RATE)  # what is learned makes it ever dearer
    alphabet = Alphabet((4,), (0,), (0,))
    training = Training(layout("depth", 1), alphabet, streams, ("learned",), ("stops",), ("right", "wrong"), RATE, 0, STEPS)
    asked = learned.Examination(training, (Pair("word", "i", "v", "right", "wrong"),))
    verdict = learned.joined(list(learned.examine(asked, asked.steps())))
    (learner,) = known
    best = min(range(len(learner.curve)), key=lambda n: learner.curve[n].dev)
    assert best + PATIENCE < len(learner.curve) - 1 and learner.step == STEPS
    average = learner.average.module.state_dict()
    assert all(torch.equal(weight, average[name]) for name, weight in learner.model.state_dict().items())
    shares, _ = learner.coder.stopping()
    assert verdict.margins == learned.judged(learner.coder, asked.pairs, shares)
