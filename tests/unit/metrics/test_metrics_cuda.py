"""The metrics work on the device of their input: on a GPU they give what they give on the CPU, within a tenth of each one's tolerance."""

from pathlib import Path

import pytest
import torch

from bench import registry
from bench.data.manifests import open_data
from bench.engine.run import Options, run
from bench.metrics import METRICS
from bench.metrics.pair import Pairs, SignalMetric
from bench.tasks import reconstruction
from tests.conftest import speech_like

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")]


@pytest.mark.parametrize("name", [metric.name for metric in METRICS.values() if metric.score is not None])
def test_a_gpus_scores_are_the_cpus_alone_and_many_at_once(name: str):
    metric = METRICS[name]
    assert isinstance(metric.score, SignalMetric)
    for domain, rate in metric.rates.items():
        refs = [speech_like(seconds, rate, seed) for seed, seconds in enumerate((2.5, 1.2, 3.1))]
        noise = [0.1 * ref.std() * torch.randn(len(ref), generator=torch.Generator().manual_seed(len(ref))) for ref in refs]
        ests = [0.7 * ref.roll(rate // 100) + hiss for ref, hiss in zip(refs, noise, strict=True)]
        there = metric.score.batch(Pairs([(ref.cuda(), est.cuda()) for ref, est in zip(refs, ests, strict=True)], rate))
        for ref, est, many in zip(refs, ests, there, strict=True):
            here, alone = metric.score(ref, est, rate), metric.score(ref.cuda(), est.cuda(), rate)
            assert alone.value == pytest.approx(here.value, abs=metric.tolerance / 10), domain
            assert many.value == pytest.approx(here.value, abs=metric.tolerance / 10), domain


def test_a_run_on_the_gpu_has_the_rows_of_a_run_on_the_cpu(tmp_path: Path):
    """Of a tokenizer without weights, whose codes are the same on both."""
    runs = [
        next(run([registry.variant("mulaw@8bit")], reconstruction.SUITE, open_data("mini"), Options(tmp_path / device, device)))
        for device in ("cpu", "cuda")
    ]
    there = {(row.clip, row.metric): row.value for row in runs[1].rows}
    for row in runs[0].rows:
        if row.metric in METRICS:
            assert there[row.clip, row.metric] == pytest.approx(row.value, abs=METRICS[row.metric].tolerance / 5, nan_ok=True), row
