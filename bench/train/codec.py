"""The training of a codec: what one step is, and how its codebooks begin and end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from bench import registry
from bench.api import UserError
from bench.data.manifests import told_data
from bench.nn.quantize import Quantized, depths
from bench.plugins import loading
from bench.train import codebooks
from bench.train.adversarial import adversary
from bench.train.balance import Balancer
from bench.train.data import crops, pack, places
from bench.train.distill import first_points, teaching
from bench.train.losses import LossConfig, SpectralLoss
from bench.train.recipes import Recipe
from bench.train.state import Run, drawn, follow
from bench.weights.files import fill, load_state

HEARD = ("mel", "stft", "envelope", "wave", "adversarial", "features")  # losses of the waveform


def prepare(
    family: str, variant: str, data: str, recipe: Recipe, seed: int, device: str, weights: Path | None = None, new_codebooks: bool = False
) -> Run:
    """Model, optimizer and packed data of a run at step 0, from random weights or from those of a file, with its codebooks or without."""
    line = registry.variant(label(family, variant))
    torch.manual_seed(seed)  # biases draw from the global generator
    with loading.active(line.file) if line.file else nullcontext():
        model = line.load(line.spec, weights) if weights and not new_codebooks else line.load(replace(line.spec, weights=f"seed:{seed}"))
    if not isinstance(model, nn.Module) or line.spec.sample_rate is None:
        raise UserError(f"{line.spec.label} has nothing to train")
    if lacking := [name for name in ("quantizer", "latents", "synthesis") if not hasattr(model, name)]:
        raise UserError(f"{line.spec.label} lacks {', '.join(lacking)}, which training needs: see docs/own-tokenizer.md")
    if weights and new_codebooks:
        kept = {name: value for name, value in load_state(weights).items() if not codebooks.inside(name)}
        fill(model, kept | {name: value for name, value in model.state_dict().items() if codebooks.inside(name)}, weights)
    model.to(device).train()
    hop = round(line.spec.sample_rate / line.spec.frame_rate)
    crop = max(1, round(recipe.seconds * line.spec.frame_rate)) * hop
    clips = told_data(data).clips
    corpus = pack(clips, line.spec.sample_rate, crop, recipe.augment, recipe.heldout, seed)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, betas=recipe.betas, weight_decay=recipe.decay, fused=True)
    loss = SpectralLoss(recipe.loss, line.spec.sample_rate).to(device)
    average = {name: value.detach().clone() for name, value in averaged(model)}
    levels = len(line.spec.codebooks)
    run = Run(
        model=model,
        optimizer=optimizer,
        seed=seed,
        device=device,
        average=average,
        recipe=recipe,
        corpus=corpus,
        loss=loss,
        hop=hop,
        crop=crop,
        sample_rate=line.spec.sample_rate,
        levels=levels,
        started=0 if weights and not new_codebooks else None,
    )
    if run.started is not None:
        codebooks.keep(model, recipe.batch * crop // hop)
    aside(run)
    return run


def label(family: str, variant: str) -> str:
    """The name of a tokenizer; without a variant, `family` is the path of a file that says itself which."""
    return f"{family}@{variant}" if variant else family


def aside(run: Run) -> None:
    """What learns beside the codec itself: means that factorised codes follow, and what the recipe asks for."""
    recipe = run.recipe
    run.following = codebooks.followers(run.model)
    run.beside["codes"] = run.following
    if recipe.loss.balance:
        run.balancer = Balancer({name: getattr(recipe.loss, name) for name in HEARD}, recipe.loss.balance)
        run.beside["balancer"] = run.balancer
    if recipe.adversarial:
        run.adversary = adversary(recipe.adversarial, run.seed, run.device)
        run.beside["discriminator"] = run.adversary.network
        run.beside["discriminator_optimizer"] = run.adversary.optimizer
    if recipe.distill:
        width = first_points(run.model, run.codec.latents(torch.zeros(1, 1, run.hop, device=run.device))).shape[1]
        run.teaching = teaching(recipe.distill, run.corpus, width, run.device)


def one_step(run: Run, steps: int) -> dict[str, Tensor]:
    """One batch, one update; the terms of the loss."""
    recipe, codec = run.recipe, run.codec
    if run.started is None and run.step == recipe.plain:
        start_codebooks(run)
    if not run.settled and run.started is not None and run.step >= max(run.started + 1, round(steps * (1 - recipe.settle))):
        settle(run)
    rise, fall = min(1.0, (run.step + 1) / recipe.rise), 0.5 + 0.5 * math.cos(math.pi * min(1.0, run.step / steps))
    for group in run.optimizer.param_groups:
        group["lr"] = recipe.rate * rise * fall
    moment = run.step % recipe.pool if run.settled and recipe.pool else run.step
    wav = batch(run, moment)
    quantized: Quantized | None = None
    with torch.autocast(torch.device(run.device).type, torch.bfloat16, enabled=recipe.bf16):
        with torch.set_grad_enabled(not run.settled):
            latents = encoded = codec.latents(wav)
        unquantized = codebooks.bypass(run.model, latents)
        if run.started is not None:
            quantized = quantize(run, latents, moment)
            free = torch.rand(recipe.batch, generator=drawn(run, 3)) < (0.0 if run.settled else recipe.bypass * (1 - run.step / steps))
            latents = torch.where(free[:, None, None].to(run.device), unquantized, quantized.x)
        est = codec.synthesis(latents if quantized else unquantized)
    unheard = {"commit": quantized.loss if quantized else torch.zeros((), device=run.device)}
    if run.teaching and not run.settled:
        unheard["distill"] = lesson(run, encoded)
    run.optimizer.zero_grad()
    terms = backward(run, wav[:, 0], est[:, 0].float(), unheard, rise * fall)
    norm = nn.utils.clip_grad_norm_(run.model.parameters(), recipe.clip)
    if bool(torch.isfinite(norm)):  # one broken batch must not cost the run
        run.optimizer.step()
    follow(run, averaged(run.model), recipe.ema)
    if quantized and not run.settled:
        codebooks.follow(run.model, run.following, encoded.detach().float(), drawn(run, 4))
    return {name: term.detach() for name, term in terms.items()} | {"norm": norm.detach()}


def backward(run: Run, ref: Tensor, est: Tensor, unheard: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The gradient of all losses, those of the waveforms [B, T] and the `unheard`; a discriminator learns at `share` of its rate."""
    weights, plan = run.recipe.loss, run.recipe.adversarial
    judge = run.adversary if plan and run.step >= plan.start else None
    direct = judge is None and run.balancer is None
    heard = est if direct else est.detach().requires_grad_()
    terms = run.loss(ref, heard) | {"wave": (ref - heard).abs().mean()}
    judged: Tensor | None = None
    if judge and plan:
        with torch.autocast(torch.device(run.device).type, torch.bfloat16, enabled=run.recipe.bf16):
            opinions, judged = judge.losses(ref, heard, (run.step - plan.start) % plan.every == 0, drawn(run, 5))
        if run.step >= plan.start + plan.alone:
            terms |= opinions
    if direct:
        weighted(weights, terms | unheard).backward()
        return terms | unheard
    if run.balancer:
        gradient = run.balancer.gradient(terms, heard)
    else:
        (gradient,) = torch.autograd.grad(weighted(weights, terms), heard, retain_graph=judged is not None)
    rest = weighted(weights, unheard)
    if rest.requires_grad:
        torch.autograd.backward([est, rest], [gradient, torch.ones_like(rest)])
    else:
        est.backward(gradient)
    if judge and judged is not None:
        judge.learn(judged, share)
        unheard = unheard | {"discriminator": judged}
    return terms | unheard


def weighted(weights: LossConfig, terms: dict[str, Tensor]) -> Tensor:
    """The sum of the terms, each times its weight."""
    total = torch.zeros(())
    for name, term in terms.items():
        total = total + getattr(weights, name) * term
    return total


def lesson(run: Run, latents: Tensor) -> Tensor:
    """How far what the first level looks up is from the teacher's features of the same crops."""
    assert run.teaching is not None
    clip, offset, _ = places(run.corpus, run.recipe.batch, run.crop, run.seed, run.step)
    with torch.autocast(torch.device(run.device).type, enabled=False):
        points = first_points(run.model, latents.float())
        return run.teaching.loss(points, clip, offset / run.sample_rate, run.crop / run.sample_rate)


def batch(run: Run, step: int) -> Tensor:
    """The crops [B, 1, T] of a step."""
    return crops(run.corpus, run.recipe.batch, run.crop, run.recipe.augment, run.seed, step).to(run.device)


def averaged(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters whose mean over the last steps is what counts: all but factorised levels, which follow the latents."""
    return ((name, value) for name, value in model.named_parameters() if not name.startswith("quantizer.layers."))


def start_codebooks(run: Run) -> None:
    """Codebooks for the encoder as it is after its first steps."""
    codebooks.start(run.model, many_latents(run, run.recipe.start), drawn(run, 2))
    run.started = run.step
    for name, value in averaged(run.model):
        if name.startswith("quantizer."):  # projections begin here, too
            run.average[name].copy_(value)


def settle(run: Run) -> None:
    """From here on: averaged weights, an encoder that stands still, and codebooks fitted to it. Only the decoder goes on learning."""
    run.model.load_state_dict(run.average, strict=False)
    codebooks.refit(run.model, many_latents(run, run.recipe.refit))
    run.settled = True


@torch.no_grad()
def many_latents(run: Run, count: int) -> Tensor:
    """Latents [count, D, n] of crops that no step uses."""
    run.model.eval()
    batches = [run.codec.latents(batch(run, -1 - i)) for i in range(math.ceil(count / run.recipe.batch))]
    run.model.train()
    return torch.cat(batches)


def quantize(run: Run, latents: Tensor, moment: int) -> Quantized:
    """Codes of latents in full precision: rounded latents would fall to other codes.

    Once settled, they are those that encoding will give, found by its own search, which takes as long as half of all else: of a batch
    that comes again they are kept.
    """
    codebooks.hold(run.model)
    quantizer, latents, generator = run.codec.quantizer, latents.float(), drawn(run, 1)
    depth = depths(len(latents), run.levels, run.recipe.dropout, generator)
    with torch.autocast(torch.device(run.device).type, enabled=False):
        if not run.settled:
            return quantizer(latents, depth.to(run.device), generator)
        codebooks.freeze(run.model)
        codes = run.searched[moment] if moment in run.searched else quantizer.encode(latents, run.levels)
        if run.recipe.pool:
            run.searched[moment] = codes
        parts = [quantizer.decode(one[None, :levels]) for one, levels in zip(codes, depth.tolist(), strict=True)]
        return Quantized(torch.cat(parts), codes, latents.new_zeros(()))
