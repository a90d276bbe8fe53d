"""Language models on a GPU: codes cost there what they cost on the CPU, and what they say of pairs is all but the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.lm.coding import Training
from bench.lm.layouts import NAMES, layout
from bench.lm.network import Body
from bench.lm.streams import Alphabet, Stream
from bench.pairs.learned import Examination, examine, joined
from bench.pairs.quads import Pair
from tests.toy_sources import FRAMES, PEAK, cost, source

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")]
DEVICE = "cuda"


@pytest.mark.parametrize("name", NAMES)
def test_a_source_costs_on_the_gpu_what_it_costs_on_the_cpu(name: str) -> None:
    codes = source(2, 4).sample(120, FRAMES, 1)
    here, there = (cost(codes, (4, 4), name, steps=60, device=device) for device in ("cpu", DEVICE))
    assert there.bits == pytest.approx(here.bits, rel=0.01) and there.zero == pytest.approx(here.zero)


def test_a_model_on_the_gpu_says_of_pairs_what_one_on_the_cpu_says() -> None:
    rng = np.random.default_rng(0)
    steady = {f"{side}{i}": Stream(np.full((100, 1), i % 4), 2.0) for side in ("learned", "right") for i in range(8)}
    noise = {f"wrong{i}": Stream(rng.integers(0, 4, (100, 1)), 2.0) for i in range(8)}
    streams = {**steady, **noise, "stops": Stream(np.full((100, 1), 2), 2.0)}
    pairs = tuple(Pair("word", f"i{i}", "v", f"right{i}", f"wrong{i}") for i in range(8))
    names = tuple(name for pair in pairs for name in (pair.right, pair.wrong))
    learned = tuple(f"learned{i}" for i in range(8))
    training = Training(layout("depth", 1), Alphabet((4,), (0,), (0,)), streams, learned, ("stops",), names, 50.0, 0, 60)
    training = replace(training, body=Body(32, 1, 32, 1), peak=PEAK)
    verdicts = []
    for device in ("cpu", DEVICE):
        asked = Examination(replace(training, device=device), pairs)
        verdicts.append(joined(list(examine(asked, asked.steps()))))
    here, there = (np.array([found.margins[pair.id] for pair in pairs]) for found in verdicts)
    assert (here > 0).all() and there == pytest.approx(here, rel=0.2)
