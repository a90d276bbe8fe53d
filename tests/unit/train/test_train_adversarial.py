"""What a codec learns beside the spectra: discriminators, feature matching, balanced gradients; and runs with them resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.api import UserError
from bench.train import codec
from bench.train.adversarial import AdversarialConfig, adversary, discriminator_loss, feature_loss, generator_loss
from bench.train.balance import Balancer
from bench.train.discriminators import Discriminators, DiscriminatorShape, Opinion, PeriodDiscriminator, ScaleDiscriminator, dilated
from bench.train.loop import train
from bench.train.losses import LossConfig
from bench.train.recipes import Recipe
from tests import training

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = DiscriminatorShape(windows=(512, 256), filters=4, periods=(2, 5), channels=(4, 8))
PLAN = AdversarialConfig(start=3, alone=0, every=2, shape=SMALL)
QUICK = replace(
    training.QUICK,
    plain=2,
    loss=LossConfig(balance=0.1, mel=1.0, stft=0.5, wave=0.1, adversarial=1.0, features=1.0),
    adversarial=PLAN,
)


def opinions(*logits: float) -> list[Opinion]:
    return [Opinion(torch.full((2, 3), value), (torch.full((2, 4), value),)) for value in logits]


@pytest.mark.parametrize("frames", [1, 3, 8, 13])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_plain_convolutions_of_every_such_frame_are_a_dilated_one(dilation: int, frames: int):
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 5, (3, 8), (1, 2), (1, 3)).double()
    whole = nn.Conv2d(3, 5, (3, 8), (1, 2), (dilation, 3), (dilation, 1)).double()
    whole.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, frames, 33, dtype=torch.float64)
    found, wanted = dilated(plain, x, dilation), whole(x)
    torch.testing.assert_close(found, wanted)
    given = torch.randn_like(wanted)
    for mine, theirs in zip(
        *(torch.autograd.grad(y, list(c.parameters()), given) for y, c in ((found, plain), (wanted, whole))), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_losses_have_the_values_of_their_formulas():
    real, fake = opinions(0.5, 2.0), opinions(-0.25, -3.0)
    assert float(discriminator_loss("hinge", real, fake)) == pytest.approx((0.5 + 0.75 + 0 + 0) / 2)
    assert float(discriminator_loss("squares", real, fake)) == pytest.approx((0.25 + 0.0625 + 1 + 9) / 2)
    assert float(generator_loss("hinge", fake)) == pytest.approx((1.25 + 4) / 2)
    assert float(generator_loss("squares", fake)) == pytest.approx((1.25**2 + 16) / 2)
    assert float(feature_loss(real, fake)) == pytest.approx((0.75 / 0.5 + 5 / 2) / 2)
    assert float(feature_loss(real, real)) == 0


def test_only_the_reconstruction_gets_a_gradient_from_the_features():
    real, fake = torch.ones(2, 4, requires_grad=True), torch.zeros(2, 4, requires_grad=True)
    feature_loss([Opinion(real, (real,))], [Opinion(fake, (fake,))]).backward()
    assert real.grad is None and fake.grad is not None and bool(fake.grad.any())


@pytest.mark.parametrize("length", [4_000, 4_001, 777])
def test_every_network_gives_logits_and_features_of_any_length(length: int):
    found = Discriminators(SMALL)(torch.randn(3, length))
    assert len(found) == 4
    assert [len(opinion.features) for opinion in found] == [5, 5, 3, 3]
    assert all(len(x) == 3 for opinion in found for x in (opinion.logits, *opinion.features))


def test_a_period_network_never_mixes_the_phases():
    network = PeriodDiscriminator(5, (4, 8))
    wav = torch.randn(1, 500)
    changed = wav.clone()
    changed[:, 3::5] += 1
    moved = (network(wav).logits != network(changed).logits).flatten(2).any(2)[0]
    assert moved.tolist() == [False, False, False, True, False]


def test_a_scale_network_hears_the_phase_and_roots_of_magnitudes_of_the_power_of_the_noise():
    network = ScaleDiscriminator(256, 4)
    wav = torch.randn(1, 4_000, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(network(wav).logits, network(-wav).logits)
    heard: list[Tensor] = []
    network.layers[0].register_forward_pre_hook(lambda _, args: heard.append(args[0]))
    network(wav)
    network(0.1 * wav)
    loud, quiet = (torch.linalg.vector_norm(x, dim=1) for x in heard)
    assert float(loud.pow(4).mean()) == pytest.approx(1, abs=0.1)
    torch.testing.assert_close(quiet[loud > 0.5], 0.1**0.5 * loud[loud > 0.5], rtol=1e-2, atol=0)


def test_a_scale_network_gives_silence_a_gradient_that_is_finite():
    wav = torch.zeros(1, 2_000, requires_grad=True)
    (gradient,) = torch.autograd.grad(ScaleDiscriminator(256, 4)(wav).logits.sum(), wav)
    assert bool(torch.isfinite(gradient).all()) and bool(gradient.any())


def test_the_default_width_is_for_a_cpu():
    count = sum(value.numel() for value in Discriminators(DiscriminatorShape()).parameters())
    assert 100_000 < count < 500_000


@pytest.mark.parametrize("kind", ["hinge", "squares"])
@pytest.mark.parametrize("shape", [replace(SMALL, periods=()), replace(SMALL, windows=())], ids=["scales", "periods"])
def test_a_discriminator_learns_to_tell_noise_from_a_tone(kind, shape: DiscriminatorShape):
    judge = adversary(AdversarialConfig(0, kind=kind, rate=1e-2, shape=replace(shape, channels=(8, 16))), 0, "cpu")
    generator = torch.Generator().manual_seed(0)

    def sounds() -> tuple[Tensor, Tensor]:
        phase = 6.3 * torch.rand(4, 1, generator=generator)
        tone = 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(4_000) / 24_000 + phase)
        return tone, 0.2 * torch.randn(4, 4_000, generator=generator)

    for _ in range(40):
        _, judged = judge.losses(*sounds(), True, torch.Generator())
        assert judged is not None
        judge.learn(judged, 1.0)
    tone, noise = sounds()
    for real, fake in zip(judge.network(tone), judge.network(noise), strict=True):
        assert float(real.logits.detach().mean()) > float(fake.logits.detach().mean()) + 0.5


def test_one_hearing_gives_both_sides_their_own_gradient():
    judge = adversary(AdversarialConfig(0, kind="squares", shape=SMALL), 0, "cpu")
    ref, est = torch.randn(2, 2_000), torch.randn(2, 2_000, requires_grad=True)
    before = [value.detach().clone() for value in judge.network.parameters()]
    terms, judged = judge.losses(ref, est, True, torch.Generator())
    (gradient,) = torch.autograd.grad(terms["adversarial"] + terms["features"], est, retain_graph=True)
    heard = gradient.any(0).nonzero()[:, 0]
    assert 600 < len(heard) <= 660 and int(heard[-1] - heard[0]) < 660, "a third of each crop, in one piece"
    assert all(value.grad is None for value in judge.network.parameters())
    assert judged is not None
    judge.learn(judged, 1.0)
    assert est.grad is None
    assert all(not torch.equal(a, b) for a, b in zip(before, judge.network.parameters(), strict=True))
    _, none = judge.losses(ref, est, False, torch.Generator())
    assert none is None


def test_the_balancer_gives_the_stated_shares():
    est = torch.randn(3, 50, generator=torch.Generator().manual_seed(0), requires_grad=True)
    losses = {"mel": 1000 * est[:, :25].square().sum(), "wave": 1e-4 * est[:, 25:].abs().sum()}
    balancer = Balancer({"mel": 3.0, "wave": 1.0, "features": 9.0}, total=2.0)
    gradient = balancer.gradient(losses, est)
    norms = [float(torch.linalg.vector_norm(half, dim=1).mean()) for half in gradient.split(25, dim=1)]
    assert norms == pytest.approx([1.5, 0.5])
    # the mean of the norms moves slowly: a loss that doubles gets nearly twice its share at once
    doubled = {"mel": 2 * losses["mel"], "wave": losses["wave"]}
    moved = balancer.gradient(doubled, est)
    assert float(torch.linalg.vector_norm(moved[:, :25], dim=1).mean()) == pytest.approx(1.5 * 2 / 1.5, rel=1e-2)


def test_a_broken_batch_does_not_stay_in_the_balancer():
    est = torch.ones(1, 4, requires_grad=True)
    balancer = Balancer({"mel": 1.0})
    balancer.gradient({"mel": est.sum()}, est)
    kept = balancer.state_dict()
    assert not bool(torch.isfinite(balancer.gradient({"mel": est.sum() * float("nan")}, est)).all())
    assert balancer.state_dict() == kept


def test_a_discriminator_learns_at_its_share_of_the_rate():
    ref, est = torch.randn(2, 2_000), torch.randn(2, 2_000)
    moved = []
    for share in (1.0, 0.1):
        judge = adversary(AdversarialConfig(0, kind="squares", shape=SMALL), 0, "cpu")
        before = torch.nn.utils.parameters_to_vector(judge.network.parameters()).detach()
        _, judged = judge.losses(ref, est, True, torch.Generator())
        assert judged is not None
        judge.learn(judged, share)
        moved.append(float((torch.nn.utils.parameters_to_vector(judge.network.parameters()).detach() - before).norm()))
    assert moved[1] == pytest.approx(0.1 * moved[0], rel=0.01)


def test_a_run_with_a_discriminator_goes_on_to_the_very_same_weights(make_data: Callable[..., Path], tmp_path: Path):
    data = str(make_data(4, seconds=1.0, rate=24_000))
    whole = load_file(train("mimi", data, tmp_path / "whole", 9, variant="tiny", recipe=QUICK))
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    has = {name: [line["step"] for line in lines if name in line] for name in ("mel", "adversarial", "features", "discriminator")}
    assert has["adversarial"] == has["features"] == [4, 6, 8, 9]  # from step 3 on
    assert has["discriminator"] == [4, 6, 8]  # at steps 3, 5 and 7
    with training.interrupted(codec, at=8):
        train("mimi", data, tmp_path / "killed", 9, variant="tiny", recipe=QUICK, save_every=6)
    resumed = load_file(train("mimi", data, tmp_path / "killed", 9, variant="tiny", recipe=QUICK, resume=True))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["beside"] for name in ("whole", "killed")]
    assert states[0].keys() >= {"balancer", "discriminator", "discriminator_optimizer"}
    assert all(torch.equal(value, states[1]["discriminator"][name]) for name, value in states[0]["discriminator"].items())
    assert states[0]["balancer"] == states[1]["balancer"]


def test_a_checkpoint_without_a_discriminator_is_of_another_configuration(make_data: Callable[..., Path], tmp_path: Path):
    data = str(make_data(4, seconds=1.0, rate=24_000))
    plain = replace(QUICK, adversarial=None)
    train("mimi", data, tmp_path / "run", 1, variant="tiny", recipe=plain)
    with pytest.raises(UserError, match="another configuration .*discriminator"):
        train("mimi", data, tmp_path / "run", 2, variant="tiny", recipe=QUICK, resume=True)


@pytest.fixture
def weights_after(make_data: Callable[..., Path], tmp_path: Path) -> Callable[[Recipe, int], dict[str, Tensor]]:
    data = str(make_data(4, seconds=1.0, rate=24_000))
    folders = (tmp_path / str(number) for number in range(9))
    return lambda recipe, steps: load_file(train("mimi", data, next(folders), steps, variant="tiny", recipe=recipe))


def test_a_discriminator_changes_nothing_before_it_starts(weights_after: Callable[[Recipe, int], dict[str, Tensor]]):
    off = replace(QUICK, adversarial=None, loss=LossConfig())
    late = replace(off, adversarial=replace(PLAN, start=3))
    assert all(torch.equal(a, b) for a, b in zip(weights_after(off, 3).values(), weights_after(late, 3).values(), strict=True))
    soon = replace(late, adversarial=replace(PLAN, start=2))
    assert not all(torch.equal(a, b) for a, b in zip(weights_after(off, 3).values(), weights_after(soon, 3).values(), strict=True))


def test_a_discriminator_that_learns_alone_is_not_heard(make_data: Callable[..., Path], tmp_path: Path):
    data = str(make_data(4, seconds=1.0, rate=24_000))
    recipe = replace(QUICK, report_every=1, adversarial=replace(PLAN, start=2, alone=2, every=1))
    train("mimi", data, tmp_path / "run", 6, variant="tiny", recipe=recipe)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    has = {name: [line["step"] for line in lines if name in line] for name in ("adversarial", "features", "discriminator")}
    assert has["discriminator"] == [3, 4, 5, 6] and has["adversarial"] == has["features"] == [5, 6]


def test_a_discriminator_changes_nothing_while_it_learns_alone(weights_after: Callable[[Recipe, int], dict[str, Tensor]]):
    off, alone = (replace(QUICK, adversarial=plan) for plan in (None, replace(PLAN, start=2, alone=2)))
    assert all(torch.equal(a, b) for a, b in zip(weights_after(off, 4).values(), weights_after(alone, 4).values(), strict=True))
    soon = replace(QUICK, adversarial=replace(PLAN, start=2, alone=1))
    assert not all(torch.equal(a, b) for a, b in zip(weights_after(off, 4).values(), weights_after(soon, 4).values(), strict=True))


def test_what_is_not_heard_still_counts_beside_balanced_losses(weights_after: Callable[[Recipe, int], dict[str, Tensor]]):
    quiet, loud = (weights_after(replace(QUICK, loss=replace(QUICK.loss, commit=weight)), 4) for weight in (0.0, 10.0))
    assert not torch.equal(quiet["downsample.weight"], loud["downsample.weight"])
