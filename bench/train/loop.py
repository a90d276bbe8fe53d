"""`bench train`: one seeded run from recordings to weights that can be stopped at any moment and goes on where it was.

Everything drawn at random depends on the seed and the number of the step alone, so a resumed run makes the steps it would have made. In the
folder of a run: `checkpoint.pt` (replaced whole, never written in place), `log.jsonl` (losses and held-out scores), `weights.safetensors`.
"""

from __future__ import annotations

import ctypes
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from bench import registry
from bench.api import UserError
from bench.data import open_data
from bench.nn.quantize import Quantized
from bench.train import codebooks
from bench.train.check import heldout_scores
from bench.train.data import crops, pack
from bench.train.export import export
from bench.train.losses import SpectralLoss
from bench.train.recipes import RECIPES, Recipe
from bench.train.state import Run, load, report, save, trim_log


def train(
    family: str,
    data: str,
    out: Path,
    steps: int,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    save_every: int = 200,
    variant: str = "mini",
    recipe: Recipe | None = None,
) -> Path:
    """Train family@variant on a data set (name, manifest or folder) and give the path of the weights; `resume` goes on in `out`."""
    if family not in RECIPES and recipe is None:
        raise UserError(f"no recipe for {family!r}: there is one for {', '.join(RECIPES)}")
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise UserError(f"{out} holds a run already: go on with --resume, or give another folder with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out} ({error.strerror}): give another folder with --out") from error
    keep_memory()
    run = prepare(family, variant, data, recipe or RECIPES[family], seed, device)
    if resume and checkpoint.exists():
        load(run, checkpoint)
    trim_log(out / "log.jsonl", run.step)
    loop(run, out, steps, save_every)
    return export(run.model, run.average, out / "weights.safetensors")


def prepare(family: str, variant: str, data: str, recipe: Recipe, seed: int, device: str) -> Run:
    """Model, optimizer and packed data of a run at its step 0."""
    try:
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError) as error:  # AssertionError is what a torch without CUDA raises
        raise UserError(f"no device {device!r} here ({str(error).splitlines()[0]}): give --device cpu") from error
    line = registry.variant(f"{family}@{variant}")
    torch.manual_seed(seed)  # biases draw from the global generator
    model = line.load(replace(line.spec, weights=f"seed:{seed}"))
    if not isinstance(model, nn.Module) or line.spec.sample_rate is None:
        raise UserError(f"{line.spec.label} has nothing to train")
    model.to(device).train()
    hop = round(line.spec.sample_rate / line.spec.frame_rate)
    crop = max(1, round(recipe.seconds * line.spec.frame_rate)) * hop
    clips = open_data(data).clips
    corpus = pack(clips, line.spec.sample_rate, crop, recipe.augment, recipe.heldout, seed)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, betas=recipe.betas, weight_decay=recipe.decay, fused=True)
    loss = SpectralLoss(recipe.loss, line.spec.sample_rate).to(device)
    average = {name: value.detach().clone() for name, value in model.named_parameters()}
    levels = len(line.spec.codebooks)
    return Run(model, recipe, corpus, loss, optimizer, seed, device, hop, crop, line.spec.sample_rate, levels, average=average)


def loop(run: Run, out: Path, steps: int, save_every: int) -> None:
    """All steps from run.step on."""
    terms: list[dict[str, Tensor]] = []
    since, recipe = time.perf_counter(), run.recipe
    while run.step < steps:
        terms.append(one_step(run, steps))
        run.step += 1
        last = run.step == steps
        if run.step % recipe.report_every == 0 or last:
            means = {name: float(torch.stack([term[name] for term in terms]).mean()) for name in terms[0]}
            seconds = (time.perf_counter() - since) / len(terms)
            report(out / "log.jsonl", {"step": run.step, "of": steps, "s/step": seconds, **means})
            terms.clear()
        if run.step % recipe.check_every == 0 or last:
            report(out / "log.jsonl", {"step": run.step, **heldout_scores(run)})
        if run.step % save_every == 0 or last:
            save(run, out / "checkpoint.pt")
        if not terms:
            since = time.perf_counter()


def one_step(run: Run, steps: int) -> dict[str, Tensor]:
    """One batch, one update; the terms of the loss."""
    recipe, codec = run.recipe, run.codec
    if run.step == recipe.plain:
        start_codebooks(run)
    if not run.settled and run.step >= max(recipe.plain + 1, round(steps * (1 - recipe.settle))):
        settle(run)
    for group in run.optimizer.param_groups:
        fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, run.step / steps))
        group["lr"] = recipe.rate * min(1.0, (run.step + 1) / recipe.rise) * fall
    wav = batch(run, run.step)
    quantized: Quantized | None = None
    with torch.autocast(torch.device(run.device).type, torch.bfloat16, enabled=recipe.bf16):
        with torch.set_grad_enabled(not run.settled):
            latents = codec.latents(wav)
        unquantized = codebooks.bypass(run.model, latents)
        if run.step >= recipe.plain:
            quantized = quantize(run, latents)
            free = torch.rand(recipe.batch, generator=drawn(run, 3)) < (0.0 if run.settled else recipe.bypass * (1 - run.step / steps))
            latents = torch.where(free[:, None, None].to(run.device), unquantized, quantized.x)
        est = codec.synthesis(latents if quantized else unquantized)
    ref, est = wav[:, 0], est[:, 0].float()
    mel, stft = run.loss(ref, est)
    wave, commit = (ref - est).abs().mean(), quantized.loss if quantized else mel.new_zeros(())
    weights = recipe.loss
    total = weights.mel * mel + weights.stft * stft + weights.wave * wave + weights.commit * commit
    run.optimizer.zero_grad()
    total.backward()
    norm = nn.utils.clip_grad_norm_(run.model.parameters(), recipe.clip)
    if bool(torch.isfinite(norm)):  # one broken batch must not cost the run
        run.optimizer.step()
    follow = min(recipe.ema, (1 + run.step) / (10 + run.step))  # short at first: the first weights are worth nothing
    for name, value in run.model.named_parameters():
        run.average[name].lerp_(value.detach(), 1 - follow)
    return {"mel": mel.detach(), "stft": stft.detach(), "wave": wave.detach(), "commit": commit.detach(), "norm": norm.detach()}


def batch(run: Run, step: int) -> Tensor:
    """The crops [B, 1, T] of a step."""
    return crops(run.corpus, run.recipe.batch, run.crop, run.recipe.augment, run.seed, step).to(run.device)


def drawn(run: Run, purpose: int) -> torch.Generator:
    """A generator that depends on the seed, the step and the purpose alone."""
    return torch.Generator().manual_seed((run.seed * 1_000_003 + run.step) * 10 + purpose)


def start_codebooks(run: Run) -> None:
    """Codebooks for the encoder as it is after its first steps."""
    codebooks.start(run.model, many_latents(run, run.recipe.start), drawn(run, 2))


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


def quantize(run: Run, latents: Tensor) -> Quantized:
    """Codes of latents in full precision: rounded latents would fall to other codes."""
    if run.settled:
        run.codec.quantizer.eval()  # codebooks stand still, too
        for part in codebooks.residuals(run.model):
            part.input_proj.requires_grad_(False)
    with torch.autocast(torch.device(run.device).type, enabled=False):
        return run.codec.quantizer(latents.float(), run.recipe.dropout, drawn(run, 1))


def keep_memory() -> None:
    """Ask glibc to keep freed blocks: a step frees and takes the same ones, and fresh pages cost a fifth of its time."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            libc.mallopt(option, 2**30)  # type: ignore[union-attr]
