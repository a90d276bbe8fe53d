"""Every family with a recipe learns on synthetic voices, and its checkpoint and its weights come back whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench import registry
from bench.train.augment import Augment
from bench.train.loop import train
from bench.train.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("one_thread")


SMALL = {"soundstream": "tiny"}  # whose trained variant is as large as the paper's


@pytest.mark.parametrize("family", RECIPES)
def test_thirty_steps_bring_the_loss_down_and_everything_comes_back(family: str, make_data: Callable[..., Path], tmp_path: Path):
    small = SMALL.get(family, "mini")
    line = registry.variant(f"{family}@{small}")
    data = str(make_data(4, seconds=1.2, rate=line.spec.sample_rate))
    recipe = replace(
        RECIPES[family],
        seconds=0.4,
        batch=2,
        rise=5,
        plain=min(RECIPES[family].plain, 20),
        start=40,
        refit=40,
        heldout=1,
        ema=0.8,
        report_every=5,
        augment=Augment(speeds=(1.0,)),
        distill="",  # its teacher may not be there
        adversarial=None,  # see test_train_adversarial.py
    )
    run = tmp_path / "run"
    first = load_file(train(family, data, run, 30, variant=small, recipe=recipe))
    mel = [facts["mel"] for facts in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if "norm" in facts]
    assert min(mel[1:]) < 0.75 * mel[0], mel
    (run / "weights.safetensors").unlink()
    again = load_file(train(family, data, run, 30, variant=small, recipe=recipe, resume=True))
    assert first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first)
    model = line.load(line.spec, run / "weights.safetensors")
    wav = torch.randn(1, 1, 5_000, generator=torch.Generator().manual_seed(0)) * 0.1
    codes = model.encode(wav)
    assert codes.shape[1] == len(line.spec.codebooks)
    assert model.decode(codes).shape[-1] >= 5_000
