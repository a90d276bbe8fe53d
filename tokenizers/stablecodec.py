"""Stable Codec (Parker et al. 2024, arxiv.org/abs/2411.19842): speech at 16 kHz by a transformer of 950 million parameters.

wav [B, 1, T] -> codes [B, K, ceil(T / 640)], 25 frames per second, K of 1, 2 or 4 by the stages that six numbers between -1 and 1 are
rounded in -> wav [B, 1, F * 640]. Encode brings each clip to -20 LUFS, as the authors' does with a file: the level is lost. The numbers of
the model are those of the paper, as the published configuration can be read with the gated weights alone; whether SnakeBeta stands before
the convolutions, the file of weights tells.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.latent_codec import LatentCodec
from bench.nn.random_weights import SCALE, loud_and_quiet
from bench.nn.residual_fsq import ResidualScalarQuantizer, Stage
from bench.nn.taae import Decoder, Encoder, Taae
from bench.weights.files import fill, fold_weight_norm, load_state, renamed_by, seed_of, seeded

RATE = 16_000
LUFS = -20.0  # of what is encoded
SILENT = 1e-6  # mean square below which a clip stays as it is
CLIPPED = 0.95  # the peak of a clip that would be beyond full scale
BLOCK, STEP = 6_400, 1_600  # samples that a loudness is of, and from one to the next
GATE, RELATIVE, OFFSET = -70.0, -10.0, -0.691  # LUFS; LU below what passes; LUFS of a mean square of 1
SHAPES = {"speech": Taae(), "base": Taae(), "tiny": Taae(dimension=64, depths=(1, 1), head=32, before=7, after=8, snake=True)}
STAGES: dict[str, tuple[Stage, ...]] = {
    "2x15625": (((5,) * 6, 1.0), ((5,) * 6, 0.25)),
    "1x46656": (((6,) * 6, 1.0),),
    "4x729": (((3,) * 6, 1.0), ((3,) * 6, 0.5), ((3,) * 6, 0.25), ((3,) * 6, 0.125)),
}


class StableCodec(LatentCodec[ResidualScalarQuantizer]):
    """The codec."""

    def latents(self, wav: Tensor) -> Tensor:
        """Of each clip [B, 1, n * hop] at the loudness that it is encoded at."""
        return super().latents(torch.stack([levelled(clip) for clip in wav]))


def levelled(wav: Tensor) -> Tensor:
    """A clip [1, T] at -20 LUFS, or softer where it would be clipped; silence stays as it is."""
    if wav.square().mean() < SILENT:
        return wav
    found = loudness(wav[0])
    if not math.isfinite(found):
        return wav
    wav = wav * 10 ** ((LUFS - found) / 20)
    peak = wav.abs().max()
    return wav / peak * CLIPPED if peak > 1 else wav


def loudness(wav: Tensor) -> float:
    """Of a clip [T], in LUFS, with the filters of torchaudio, which approach those of ITU-R BS.1770-4; -inf of silence.

    A clip that is shorter than a block is one block.
    """
    from scipy.signal import lfilter  # here: the command line answers without waiting for scipy

    samples = wav.double().cpu().numpy()
    for b, a in (shelf(1_500.0, 4.0, 0.5**0.5), high_pass(38.0, 0.5)):
        samples = np.clip(np.asarray(lfilter(b, a, samples)), -1, 1)
    size = min(BLOCK, len(samples))
    power = np.square(np.lib.stride_tricks.sliding_window_view(samples, size)[::STEP]).mean(-1)
    for gate in (GATE, RELATIVE):
        with np.errstate(divide="ignore"):
            blocks = OFFSET + 10 * np.log10(power)
            whole = OFFSET + 10 * np.log10(power.mean())
        power = power[blocks > (gate if gate == GATE else whole + gate)]
        if not len(power):
            return -math.inf
    return float(OFFSET + 10 * np.log10(power.mean()))


def shelf(frequency: float, gain: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Numerator and denominator of a filter that raises what lies above `frequency` (Hz) by `gain` (dB), of the audio EQ cookbook."""
    angle, a = 2 * math.pi * frequency / RATE, 10 ** (gain / 40)
    cosine, slope = math.cos(angle), math.sqrt(a) * math.sin(angle) / q
    up, down = a + 1, a - 1
    numerator = a * np.array([up + down * cosine + slope, -2 * (down + up * cosine), up + down * cosine - slope])
    denominator = np.array([up - down * cosine + slope, 2 * (down - up * cosine), up - down * cosine - slope])
    return numerator / denominator[0], denominator / denominator[0]


def high_pass(frequency: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of a filter that takes away what lies below `frequency` (Hz)."""
    angle = 2 * math.pi * frequency / RATE
    cosine, slope = math.cos(angle), math.sin(angle) / (2 * q)
    numerator, denominator = (1 + cosine) / 2 * np.array([1, -2, 1]), np.array([1 + slope, -2 * cosine, 1 - slope])
    return numerator / denominator[0], denominator / denominator[0]


NAMES = (  # pattern in a state dict of the authors' class -> here; the numbers of layers are mapped in renamed
    (r"\.pre_norm\.gamma$", ".norm1.weight"),
    (r"\.pre_norm\.beta$", ".norm1.bias"),
    (r"\.ff_norm\.gamma$", ".norm2.weight"),
    (r"\.ff_norm\.beta$", ".norm2.bias"),
    (r"\.self_attn\.to_qkv\.", ".in_proj."),
    (r"\.self_attn\.to_out\.", ".out_proj."),
    (r"\.self_attn\.([qk])_norm\.", r".norm_\1."),
    (r"\.self_attn_scale\.scale$", ".scale1"),
    (r"\.ff_scale\.scale$", ".scale2"),
    (r"\.ff\.ff\.0\.proj\.", ".linear1."),
    (r"\.ff\.ff\.2\.", ".linear2."),
)
BESIDE = ".rope.inv_freq"  # what follows from the configuration


def renamed(state: dict[str, Tensor], stages: int) -> dict[str, Tensor]:
    """A state dict of the authors' class under our names, weight norm folded; `stages` of each half."""
    result = {}
    for name, value in fold_weight_norm(state).items():
        if name.endswith(BESIDE):
            continue
        place = re.fullmatch(r"(encoder|decoder)\.layers\.(\d+)\.(.*)", name)
        result[renamed_by(NAMES, _placed(place[1], int(place[2]), place[3], stages) if place else name)] = value
    return result


def _placed(half: str, index: int, rest: str, stages: int) -> str:
    """Layer 0 is a convolution, 1 to `stages` are blocks of three parts, then come an activation and a convolution.

    A block of the encoder ends with its transformer, one of the decoder begins with it; the transformer's layers count from 1.
    """
    if index == 0:
        return f"{half}.0.{rest}"
    if index > stages:
        return f"{half}.{3 * stages + index - stages}.{rest}"
    found = re.fullmatch(r"layers\.(\d)\.(.*)", rest)
    if not found:
        return f"{half}.layers.{index}.{rest}"  # unknown: refused by this name
    part, rest = int(found[1]), found[2]
    if part == (2 if half == "encoder" else 0):
        number, _, rest = rest.partition(".")
        rest = f"layers.{int(number) - 1}.{rest}"
    return f"{half}.{3 * (index - 1) + 1 + part}.{rest}"


def load(spec: Spec, path: Path | None = None) -> StableCodec:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    kind, stages = parts(spec.variant)
    return made(spec, SHAPES[kind], STAGES[stages], path)


def made(spec: Spec, shape: Taae, stages: tuple[Stage, ...], path: Path | None) -> StableCodec:
    """A codec of any size; with weights from a file it has SnakeBeta where the file has it."""
    state = None if path is None else renamed(load_state(path), len(shape.strides))
    if state is not None:
        shape = replace(shape, snake=any(name.endswith(".alpha") for name in state))
    model = StableCodec(spec, Encoder(shape), ResidualScalarQuantizer(stages), Decoder(shape), shape.hop, whole=True)
    if state is None or path is None:
        draw(model, seed_of(spec))
    else:
        fill(model, state, path)
    return model.eval()


@torch.no_grad()
def draw(model: StableCodec, seed: int) -> None:
    """Random weights, with latents around zero and as far from it as the tangent bends, and quiet audio."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    assert isinstance(model.encoder, nn.Sequential) and isinstance(model.decoder, nn.Sequential)
    first, last = model.encoder[-1], model.decoder[-1]
    assert isinstance(first, nn.Conv1d) and isinstance(last, nn.Conv1d) and first.bias is not None
    latents = model.latents(loud_and_quiet(model.hop, generator))
    mean, deviation = latents.mean((0, 2)), latents.std((0, 2))
    first.weight.div_(deviation[:, None, None])
    first.bias.sub_(mean).div_(deviation)
    last.weight.mul_(SCALE / model.synthesis((latents - mean[:, None]) / deviation[:, None]).std())


def parts(variant: str) -> tuple[str, str]:
    """Which weights and which stages a variant's name means: `base-4x729`, or `4x729` of the model that the authors recommend."""
    kind, _, stages = variant.rpartition("-")
    return ("tiny", "2x15625") if variant == "tiny" else (kind or "speech", stages)


def released(name: str) -> Checkpoint:
    """A gated file of the hub; its sha256 is published nowhere that could be found: it is read from --weights PATH only."""
    return Checkpoint(f"{name}.safetensors", "", f"https://huggingface.co/stabilityai/{name}/resolve/main/model.safetensors", gated=True)


CHECKPOINTS = {"speech": released("stable-codec-speech-16k"), "base": released("stable-codec-speech-16k-base")}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    kind, stages = parts(name)
    checkpoint = CHECKPOINTS.get(kind)
    spec = Spec(
        name="stablecodec",
        variant=name,
        sample_rate=RATE,
        codebooks=tuple(Codebook(math.prod(steps), RATE / SHAPES[kind].hop, levels=steps) for steps, _ in STAGES[stages]),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2411.19842, https://github.com/Stability-AI/stable-codec",
        licence="Stability-AI-Community" if checkpoint else "",
        keeps_level=False,
    )
    return Variant(spec, load, checkpoint)


NAMED = [*STAGES, *(f"base-{stages}" for stages in STAGES), "tiny"]
VARIANTS = {name: variant(name) for name in NAMED}
