"""What the asr suite must find on real words: a codec that keeps fewer codebooks is never heard better, and one codebook much worse."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import registry
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.evaluators import asr
from bench.statistics.bootstrap import Estimate, holm
from bench.statistics.paired import paired
from bench.tasks.asr import suite

pytestmark = pytest.mark.slow
LADDER = ("encodec@mini-0.75kbps", "encodec@mini-1.5kbps", "encodec@mini-3kbps", "encodec@mini")
LEVEL = 0.05


@pytest.fixture(scope="module")
def rungs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    pytest.importorskip("pocketsphinx", reason="the judge that needs no download is not installed: extra pocketsphinx")
    folder = tmp_path_factory.mktemp("ladder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(folder / "cache"))
        what = suite(asr.judge("pocketsphinx"))
        data = open_data("mini")
        return list(run([registry.variant(label) for label in LADDER], what, data, Options(folder / "results")))


def fewer_less_more(fewer: Run, more: Run) -> Estimate:
    """Word errors with fewer codebooks less those with more, on the clips of both."""
    metric = next(m for m in fewer.suite.metrics if m.name == "wer_pocketsphinx_closed")
    less, all_ = ({r.clip: r for r in done.rows if r.metric == metric.name} for done in (fewer, more))
    found = paired(metric, less, all_)
    assert found.clips >= 20
    return found.estimate


def test_fewer_codebooks_never_help_significantly(rungs: list[Run]) -> None:
    pairs = [(i, j) for i in range(len(rungs)) for j in range(i + 1, len(rungs))]
    changes = [fewer_less_more(rungs[i], rungs[j]) for i, j in pairs]
    helped = [pair for pair, change, p in zip(pairs, changes, holm([c.p for c in changes]), strict=True) if change.value < 0 and p < LEVEL]
    assert not helped, [(LADDER[i], LADDER[j]) for i, j in helped]
    least = fewer_less_more(rungs[0], rungs[-1])
    assert least.value > 0.05 and least.low > 0, "one codebook of eight loses words, or this test could not fail"


def test_the_original_is_the_same_beside_all(rungs: list[Run]) -> None:
    known = [[(r.clip, r.value) for r in done.rows if r.metric == "wer_pocketsphinx_closed_original"] for done in rungs]
    assert known[0] and all(sorted(k) == sorted(known[0]) for k in known)
    assert isinstance(rungs[0].folder, Path) and (rungs[0].folder / "transcripts.csv").exists()
