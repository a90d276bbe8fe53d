"""The suite mcd: a score for each clip of speech, none of music, and a reason where there is no audio."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Codebook, Spec, Variant
from bench.data.manifests import open_data
from bench.engine.run import Options, run

SUITE = registry.load_suite("mcd")


class Coarse:
    """Sixteen levels; the shortest clip fails."""

    spec = Spec("coarse", "v", 16_000, (Codebook(16, 16_000),))

    def encode(self, wav: Tensor) -> Tensor:
        if wav.shape[-1] < 16_000:
            raise RuntimeError("too short for me")
        return ((wav.clamp(-1, 1) + 1) * 7.5).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        return codes / 7.5 - 1


def scores(variant: Variant, manifest: Path, results: Path) -> dict[str, tuple[float, str]]:
    (found,) = run([variant], SUITE, open_data(str(manifest)), Options(results))
    return {row.clip: (row.value, row.note) for row in found.rows if row.metric == "mcd"}


def test_speech_has_a_score_and_music_none(make_data: Callable[..., Path], tmp_path: Path) -> None:
    manifest = make_data(3)  # the last one is music
    coarse = scores(Variant(Coarse.spec, lambda spec: Coarse()), manifest, tmp_path / "a")
    exact = scores(registry.variant("identity"), manifest, tmp_path / "b")
    assert len(coarse) == len(exact) == 2 and all(value == 0 for value, _ in exact.values())
    assert all(2 < value < 60 and not note for value, note in coarse.values())


def test_a_clip_that_was_not_decoded_has_no_score_but_a_reason(make_data: Callable[..., Path], tmp_path: Path) -> None:
    found = scores(Variant(replace(Coarse.spec), lambda spec: Coarse()), make_data(2, seconds=0.95), tmp_path / "a")
    (value, note), (other, _) = found.values()
    assert math.isnan(value) and "too short for me" in note and other > 0


def test_the_default_suite_does_not_take_the_time_for_it() -> None:
    assert "mcd" not in {metric.name for metric in registry.load_suite("reconstruction").metrics}
    with pytest.raises(ValueError, match="one channel"):
        assert SUITE.metrics[0].score is not None
        SUITE.metrics[0].score(torch.zeros(2, 10), torch.zeros(2, 10), 16_000)
