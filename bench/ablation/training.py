"""One model of a study: steps without a quantizer, which designs of one frame rate and one loss share, then steps with theirs.

Both stages are runs of `bench.train` (its data, losses, discriminators, checkpoints and log): a stopped one goes on where it was.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.ablation.designs import CROP, SAMPLE_RATE, Design
from bench.ablation.network import Codec, network, seeded_network, spec_of
from bench.ablation.objectives import LOSSES, adversarial
from bench.ablation.quantizers import begin
from bench.api import Clip
from bench.train.adversarial import adversary
from bench.train.augment import Augment
from bench.train.codec import backward, batch, many_latents
from bench.train.data import Corpus, pack
from bench.train.export import export
from bench.train.loop import go_on, loop
from bench.train.losses import SpectralLoss
from bench.train.recipes import Recipe
from bench.train.state import Run, drawn
from bench.weights.files import load_state

START = 64  # crops whose latents a quantizer begins with
LATE = 10**9  # steps: never
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Budget:
    """What every model of a study gets alike."""

    steps: int  # with codes
    before: int  # without
    batch: int = 6  # crops of .96 s
    rate: float = 1e-3  # of AdamW in either stage: it rises for 20 steps, and falls along half a cosine to nothing


def packed(clips: Sequence[Clip]) -> Corpus:
    """The training data, read once for all models."""
    return pack(clips, SAMPLE_RATE, CROP, Augment(speeds=(1.0,), image=0.0), heldout=0, seed=0)


def recipe(design: Design, budget: Budget, with_codes: bool) -> Recipe:
    """The training of one stage, as `bench.train` says it."""
    return Recipe(
        seconds=CROP / SAMPLE_RATE,
        batch=budget.batch,
        rate=budget.rate,
        rise=20,
        bf16=False,
        loss=LOSSES[design.losses],
        adversarial=adversarial(design) if with_codes else None,
        augment=Augment(speeds=(1.0,), image=0.0),
        heldout=0,
        report_every=25,
        check_every=LATE,
    )


def running(design: Design, seed: int, budget: Budget, corpus: Corpus, weights: Path | None, device: str) -> Run:
    """A stage at its step 0: without a quantizer, or with that of the design around the network of a file."""
    if weights is None:
        model = seeded_network(design, seed)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = network(design, spec_of(design, seed, f"seed:{seed}"))
        model.load_state_dict(load_state(weights), strict=False)  # the rest is the quantizer, which begins anew
    model.to(device).train()
    plan = recipe(design, budget, weights is not None)
    run = Run(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), plan.rate, betas=plan.betas, weight_decay=plan.decay, fused=True),
        seed=seed,
        device=device,
        recipe=plan,
        corpus=corpus,
        loss=SpectralLoss(plan.loss, SAMPLE_RATE).to(device),
        hop=design.hop,
        crop=CROP,
        sample_rate=SAMPLE_RATE,
        levels=design.levels,
        started=0,
    )
    if plan.adversarial:
        run.adversary = adversary(plan.adversarial, seed, device)
        run.beside = {"discriminator": run.adversary.network, "discriminator_optimizer": run.adversary.optimizer}
    return run


def one_step(run: Run, steps: int) -> dict[str, Tensor]:
    """One batch through latents, quantizer and back; one update of all that learns by gradient. The terms of the loss."""
    codec, plan = _codec(run), run.recipe
    share = min(1.0, (run.step + 1) / plan.rise) * (0.5 + 0.5 * math.cos(math.pi * run.step / steps))
    for group in run.optimizer.param_groups:
        group["lr"] = plan.rate * share
    wav = batch(run, run.step)
    quantized = codec.quantizer(codec.latents(wav), generator=drawn(run, 1))
    est = codec.synthesis(quantized.x)
    run.optimizer.zero_grad()
    terms = backward(run, wav[:, 0], est[:, 0].float(), {"commit": quantized.loss}, share)
    norm = nn.utils.clip_grad_norm_(run.model.parameters(), plan.clip)
    if bool(torch.isfinite(norm)):
        run.optimizer.step()
    return {name: term.detach() for name, term in terms.items()} | {"norm": norm.detach()}


def trained(
    design: Design, seed: int, budget: Budget, corpus: Corpus, out: Path, weights: Path | None = None, device: str = "cpu"
) -> float:
    """Train one stage in its folder, or go on there; its weights lie in WEIGHTS when it is done -> seconds a step, of those made now."""
    steps = budget.before if weights is None else budget.steps
    out.mkdir(parents=True, exist_ok=True)
    run = running(design, seed, budget, corpus, weights, device)
    if weights is not None and not (out / "checkpoint.pt").exists():
        begin(_codec(run).quantizer, many_latents(run, START), drawn(run, 2))
    go_on(run, out)
    first, since = run.step, time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # what it says is in its log
        loop(run, run.recipe, out, steps, max(50, steps // 4), one_step, lambda run: {})
    seconds = (time.perf_counter() - since) / max(1, run.step - first)
    export(run.model, {}, out / WEIGHTS)
    (out / "checkpoint.pt").unlink()
    return seconds


def seconds_of_a_step(design: Design, budget: Budget, corpus: Corpus, with_codes: bool, device: str = "cpu", tries: int = 3) -> float:
    """How long a step of a design takes here, with its quantizer or without: the shortest of some."""
    plan = recipe(design, budget, with_codes)
    run = running(design, 0, budget, corpus, None, device)
    if with_codes:
        model = network(design, spec_of(design, 0, "seed:0")).to(device).train()
        begin(model.quantizer, many_latents(run, budget.batch), drawn(run, 2))
        run.model, run.recipe = model, plan
        run.optimizer = torch.optim.AdamW(model.parameters(), plan.rate, fused=True)
        run.adversary = adversary(plan.adversarial, 0, device) if plan.adversarial else None
    times = []
    for _ in range(tries):
        since = time.perf_counter()
        one_step(run, 10)
        run.step += 1
        times.append(time.perf_counter() - since)
    return min(times)


def _codec(run: Run) -> Codec:
    assert isinstance(run.model, nn.Module)
    return run.model  # type: ignore[return-value]
