"""The metrics work on the device of their input: on a GPU they give what they give on the CPU, within a tenth of each one's tolerance."""

import pytest
import torch

from bench.metrics import METRICS
from tests.conftest import speech_like

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")]


@pytest.mark.parametrize("name", [metric.name for metric in METRICS.values() if metric.score is not None])
def test_a_gpus_score_is_the_cpus(name: str):
    metric = METRICS[name]
    for domain, rate in metric.rates.items():
        ref = speech_like(2.5, rate, seed=1)
        est = 0.7 * ref.roll(rate // 100) + 0.1 * ref.std() * torch.randn(len(ref), generator=torch.Generator().manual_seed(0))
        assert metric.score is not None
        here, there = metric.score(ref, est, rate), metric.score(ref.cuda(), est.cuda(), rate)
        assert there.value == pytest.approx(here.value, abs=metric.tolerance / 10), domain
