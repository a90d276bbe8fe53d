"""What may be varied, and what no study may be judged by."""

from __future__ import annotations

import itertools

import pytest

from bench.ablation import objectives
from bench.ablation.designs import DISCRIMINATORS, FACTORS, LOSSES, USUAL, Design, changed, checked, parsed, varied
from bench.ablation.objectives import aimed_at
from bench.api import UserError
from bench.metrics import METRICS


def test_one_factor_changes_at_a_time_and_the_base_comes_first() -> None:
    found = varied(parsed(["size=64"]), ["levels=1,4,8", "size=16,64"])
    assert [design.name for design in found] == ["rvq-4x64", "rvq-1x64", "rvq-8x64", "rvq-4x16"]


def test_a_grid_has_all_combinations() -> None:
    found = varied(Design(), ["levels=1,4", "size=16,256", "rate=25,50"], grid=True)
    assert len(found) == 8 and found[0] == Design()
    assert {(d.levels, d.size, d.rate) for d in found} == set(itertools.product((1, 4), (16, 256), (25, 50)))


def test_no_two_designs_share_a_name() -> None:
    designs = {changed(Design(), factor, value) for factor in FACTORS for value in USUAL[factor]}
    designs |= {changed(design, "losses", "mel") for design in designs}
    assert len({design.name for design in designs}) == len(designs)


def test_one_codebook_has_one_level() -> None:
    assert [d.name for d in varied(Design(), ["quantizer=vq,rvq"])] == ["rvq-4x256", "vq-1x256"]


def test_every_usual_value_can_be_built() -> None:
    for factor in FACTORS:
        assert len(varied(Design(), [factor])) == len(set(USUAL[factor]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quantiser=vq"], "no factor is called 'quantiser'.*quantizer"),
        (["quantizer=vqq"], "no quantizer is called 'vqq'"),
        (["levels=0"], "levels=0 is no whole number from 1 to 999999"),
        (["size=1000000"], "size=1000000 is no whole number from 1 to 999999"),
        (["levels="], "names no value"),
        (["rate=30"], "rvq-4x256-30hz: frames must be whole samples"),
    ],
)
def test_a_wrong_word_is_told(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        varied(Design(), words)


@pytest.mark.parametrize(
    ("design", "said"),
    [
        (Design("split", levels=1), "two levels or more"),
        (Design("group", levels=3), "even number"),
        (Design("product", levels=3), "1, 2, 4, 8"),
        (Design("product", levels=128), "64 levels"),
        (Design(rate=500), "25, 50, 100 or 200 per second"),
        (Design("fsq", size=100), "sizes of finite scalar codes"),
        (Design("bsq", size=100), "powers of two"),
        (Design("multi-scale", levels=6), "fewer levels"),
        (Design(size=1), "two codes or more"),
    ],
)
def test_what_cannot_be_built_is_told_before_anything_is_trained(design: Design, said: str) -> None:
    with pytest.raises(UserError, match=said):
        checked(design)


def test_what_a_loss_aims_at_is_no_measure() -> None:
    def left(losses: str) -> set[str]:
        return {name for name in METRICS if not name.startswith(aimed_at(Design(losses=losses)))}

    assert {"pesq_wb", "stoi", "f0_corr"} <= left("spectral") and not {"mel_dac", "stft_dac", "si_sdr", "lsd"} & left("spectral")
    assert "si_sdr" in left("mel") and "mel_l1" not in left("mel")
    assert "stoi" not in left("spectral+envelope") and "estoi_raw" not in left("spectral+envelope")
    assert "mel_l1" in left("wave") and "snr" not in left("wave")


def test_every_loss_and_discriminator_that_has_a_name_is_there() -> None:
    assert set(objectives.LOSSES) == set(LOSSES) and {"none", *objectives.SHAPES} == set(DISCRIMINATORS)
