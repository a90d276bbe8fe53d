"""Every quantizer of a study: codes as its spec says, a sensible beginning, gradients, and the same codes from its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.ablation.designs import KINDS, WIDTH, Design, checked
from bench.ablation.network import load, network, spec_of
from bench.ablation.quantizers import Unquantized, begin, built
from bench.api import Codes
from bench.tokens.codes import check_codes
from bench.train.export import export

pytestmark = pytest.mark.usefixtures("one_thread")
DESIGNS = [checked(Design(kind, levels=4, size=16)) for kind in KINDS]


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    """[6, W, 48], some directions a hundred times as strong as others, far from zero."""
    g = torch.Generator().manual_seed(0)
    mix = torch.randn(WIDTH, WIDTH, generator=g) * torch.logspace(0, -2, WIDTH)
    return 0.3 * mix @ torch.randn(6, WIDTH, 48, generator=g) + 0.5


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_a_quantizer_begins_by_explaining_the_latents(design: Design, latents: torch.Tensor) -> None:
    torch.manual_seed(0)
    quantizer = built(design, WIDTH)
    begin(quantizer, latents, torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = quantizer.eval().decode(quantizer.encode(latents, design.levels))
    wanted, given = (x - x.mean((0, 2), keepdim=True) for x in (latents, found))
    assert (latents - found).square().mean() < 0.8 * wanted.square().mean()
    gain = (wanted * given).sum() / given.square().sum()  # that would make what is decoded fit best
    assert 0.7 < gain < 1.4, "neither too loud nor too quiet"
    off = (latents - found).mean((0, 2)).square().mean()
    assert off < 0.02 * wanted.square().mean(), "around the same middle"


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_training_sees_the_codes_of_encoding_and_a_gradient_comes_through(design: Design, latents: torch.Tensor) -> None:
    quantizer = built(design, WIDTH)
    begin(quantizer, latents, torch.Generator().manual_seed(1))
    with torch.no_grad():
        codes = quantizer.eval().encode(latents, design.levels)
    x = latents.clone().requires_grad_()
    found = quantizer.train()(x, generator=torch.Generator().manual_seed(2))
    assert torch.equal(found.codes, codes) and found.x.shape == x.shape
    found.x.square().sum().backward()
    assert x.grad is not None and bool((x.grad.abs().sum((0, 2)) > 0).float().mean() > 0.9)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_a_file_gives_a_tokenizer_with_the_codes_that_its_spec_states(design: Design, tmp_path: Path) -> None:
    torch.manual_seed(0)
    spec = spec_of(design, 0, "seed:0")
    model = network(design, spec)
    wav = 0.1 * torch.randn(2, 1, 5000)
    begin(model.quantizer, model.latents(0.1 * torch.randn(4, 1, 15_360)).detach(), torch.Generator().manual_seed(1))
    export(model, {}, tmp_path / "weights.safetensors")
    again = load(design, spec, tmp_path / "weights.safetensors")
    codes = again.encode(wav)
    check_codes(Codes(codes), spec, 2)
    assert codes.shape[1] == len(spec.codebooks) and codes.unique().numel() > 2
    assert 5000 <= again.decode(codes).shape[-1] < 5000 + spec.block
    assert (codes == model.eval().encode(wav)).float().mean() > 0.95  # the file is in half precision


def test_slow_codes_cost_fewer_bits() -> None:
    rates = {design.quantizer: spec_of(design, 0, "seed:0").bitrate for design in DESIGNS}
    assert rates["rvq"] == 4 * 4 * 50 and rates["vq"] == 4 * 50
    assert rates["multi-scale"] == pytest.approx(4 * 50 * (1 + 1 / 2 + 1 / 4 + 1 / 8))


def test_a_network_without_a_quantizer_has_no_codes() -> None:
    with pytest.raises(ValueError, match="has no codes"):
        Unquantized().encode(torch.zeros(1, WIDTH, 3))
