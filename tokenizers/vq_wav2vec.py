"""vq-wav2vec (Baevski et al. 2019, arxiv.org/abs/1910.05453), the first discrete units of speech that language models were trained on.

wav [B, 1, T] at 16 kHz -> wav2vec's convolutions, 100 frames a second -> two groups of 320 codes: `gumbel` takes the largest of 320 logits
in each group, `kmeans` the nearest of 320 vectors to each half of the frame. Encode only. T below 465 is filled up with zeros. The
checkpoints of fairseq hold training options beside the tensors: they are read without running anything, and say the activation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, UserError, Variant, sha256_of_all
from bench.nn.checks import require_wav
from bench.nn.hubert import gelu_
from bench.nn.onednn import linear
from bench.nn.quantize import nearest
from bench.nn.random_weights import loud_and_quiet
from bench.nn.wav2vec import HOP, WINDOW, GroupNorm, Wav2vec, Wav2vecShape
from bench.weights import torch_reader
from bench.weights.files import fill, renamed_by, seed_of, seeded
from bench.weights.joblib_reader import Thing

RATE = 16_000
GROUPS = 2


@dataclass(frozen=True)
class Config:
    """A variant as data."""

    shape: Wav2vecShape
    size: int = 320  # codes of a group
    logits: bool = True  # a code is the largest of its logits; False: the nearest vector


CONFIGS = {
    "gumbel": Config(Wav2vecShape()),
    "kmeans": Config(Wav2vecShape(), logits=False),
    "tiny": Config(Wav2vecShape(32), size=100),
    "tiny_kmeans": Config(Wav2vecShape(32), size=100, logits=False),
}


class Logits(nn.Module):
    """[B, C, F] -> codes [B, 2, F]: of each group the largest logit of two layers."""

    def __init__(self, config: Config):
        super().__init__()
        channels = config.shape.channels
        self.activation = config.shape.activation
        self.linear1, self.linear2 = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, GROUPS * config.size)

    def logits(self, x: Tensor) -> Tensor:
        """[B, C, F] -> [B, F, 2, size]."""
        x = linear(self.linear1, x.transpose(1, 2))
        return linear(self.linear2, gelu_(x) if self.activation == "gelu" else x.relu_()).unflatten(-1, (GROUPS, -1))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x).argmax(-1).transpose(1, 2)


class Vectors(nn.Module):
    """[B, C, F] -> codes [B, 2, F]: each half, projected and normed over its clip, has the number of the nearest vector of one codebook."""

    def __init__(self, config: Config):
        super().__init__()
        channels = config.shape.channels
        self.projection = nn.Conv1d(channels, channels, 1, groups=GROUPS, bias=False)
        self.norm = GroupNorm(GROUPS, channels)
        self.codebook = nn.Parameter(torch.zeros(config.size, channels // GROUPS))

    def points(self, x: Tensor) -> Tensor:
        """[B, C, F] -> [B, F, 2, C / 2]."""
        weights = self.projection.weight[..., 0].chunk(GROUPS)
        halves = [half @ weight.T for half, weight in zip(x.transpose(1, 2).chunk(GROUPS, dim=-1), weights, strict=True)]
        return self.norm(torch.cat(halves, dim=-1).transpose(1, 2)).transpose(1, 2).unflatten(-1, (GROUPS, -1))

    def forward(self, x: Tensor) -> Tensor:
        points = self.points(x)
        half_norms = (self.codebook.double().square().sum(-1) / 2).to(x.dtype)
        return nearest(points.flatten(0, 2), self.codebook, half_norms).view(points.shape[:3]).transpose(1, 2)


class VqWav2vec(nn.Module):
    """The tokenizer: it only encodes."""

    def __init__(self, spec: Spec, config: Config):
        super().__init__()
        self.spec = spec
        self.features = Wav2vec(config.shape)
        self.quantizer = Logits(config) if config.logits else Vectors(config)

    def latents(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> [B, C, F]."""
        return self.features(F.pad(wav, (0, max(0, WINDOW - wav.shape[-1]))))

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], any T >= 1 -> codes [B, 2, F]."""
        require_wav(wav)
        return self.quantizer(self.latents(wav))

    def decode(self, codes: Tensor) -> Tensor:
        """There is none: the authors trained no decoder."""
        raise ValueError(f"{self.spec.label} gives tokens only and cannot decode")


NAMES = (  # pattern in fairseq's state dict -> here
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"features.layers.\1."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.2\.", r"features.norms.\1."),
    (r"^vector_quantizer\.weight_proj\.0\.0\.", "quantizer.linear1."),
    (r"^vector_quantizer\.weight_proj\.1\.", "quantizer.linear2."),
    (r"^vector_quantizer\.projection\.0\.", "quantizer.projection."),
    (r"^vector_quantizer\.projection\.1\.", "quantizer.norm."),
    (r"^vector_quantizer\.embedding$", "quantizer.codebook"),
)
UNUSED = ("feature_aggregator.", "wav2vec_predictions.", "vector_quantizer.vars")  # what training needs beside what gives codes


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """fairseq's state dict under our names, without what gives no codes."""
    found = {renamed_by(NAMES, name): value.float() for name, value in state.items() if not name.startswith(UNUSED)}
    book = found.get("quantizer.codebook")
    if book is not None and book.ndim == 3 and book.shape[1] == 1:  # [size, 1, C / 2]: both groups share it
        found["quantizer.codebook"] = book[:, 0]
    return found


def read(path: Path, config: Config) -> tuple[Config, dict[str, Tensor]]:
    """A checkpoint of fairseq -> the configuration as its training options say it, and its tensors by their official names."""
    try:
        found = torch_reader.read(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): it must be a checkpoint of fairseq, as vq-wav2vec.pt") from error
    options, state = (found.get("args"), found.get("model")) if isinstance(found, dict) else (None, None)
    if not isinstance(options, Thing) or not isinstance(state, dict):
        raise UserError(f"{path} lacks `args` or `model`: it must be a checkpoint of fairseq, as vq-wav2vec.pt")
    told = {str(name): value for name, value in options.state.items()}
    kind = "gumbel" if config.logits else "kmeans"
    wanted = {"vq_type": (kind, "none"), "vq_groups": (GROUPS, GROUPS), "vq_vars": (config.size, config.size)}  # as it must be, and unsaid
    for name, (value, unsaid) in wanted.items():
        if told.get(name, unsaid) != value:
            raise UserError(f"{path} was trained with {name} {told.get(name, unsaid)}, this variant has {value}: choose another")
    activation = told.get("activation", "relu")  # what fairseq's first models had, before there was a choice
    if activation != "relu" and activation != "gelu":
        raise UserError(f"{path} was trained with the activation {activation}: relu and gelu are known here")
    skip_scale = told.get("residual_scale", 0.5)
    if not isinstance(skip_scale, int | float) or not 0 < skip_scale < float("inf"):
        raise UserError(f"{path} was trained with the residual_scale {skip_scale}: a number above 0 is needed")
    shape = replace(
        config.shape,
        activation="relu" if activation == "relu" else "gelu",
        logarithm=bool(told.get("log_compression", False)),
        skips=bool(told.get("skip_connections_feat", False)),
        skip_scale=float(skip_scale),
    )
    return replace(config, shape=shape), {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def load(spec: Spec, path: Path | None = None) -> VqWav2vec:
    """The model of a variant, with the weights of the file at `path`, or drawn from the spec's seed."""
    config = CONFIGS[spec.variant]
    if path is None:
        model = VqWav2vec(spec, config)
        draw(model, seed_of(spec))
        return model.eval()
    config, state = read(path, config)
    model = VqWav2vec(spec, config)
    fill(model, renamed(state), path)
    return model.eval()


@torch.no_grad()
def draw(model: VqWav2vec, seed: int) -> None:
    """Random weights, with logits around zero and vectors among the points of noise: otherwise every frame would get the same few codes."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    for norm in model.features.norms:
        assert isinstance(norm, GroupNorm)
        norm.weight.add_(torch.randn(norm.weight.shape, generator=generator) / 10)
    latents = model.latents(loud_and_quiet(HOP, generator).repeat(1, 1, 2))
    quantizer = model.quantizer
    if isinstance(quantizer, Logits):
        logits = quantizer.logits(latents).flatten(0, 1).flatten(1)
        quantizer.linear2.weight.div_(logits.std(0)[:, None])
        quantizer.linear2.bias.sub_(logits.mean(0)).div_(logits.std(0))
    else:
        assert isinstance(quantizer, Vectors)
        points = quantizer.points(latents).flatten(0, 2)
        quantizer.codebook.copy_(points[torch.randperm(len(points), generator=generator)[: len(quantizer.codebook)]])


FILES = {  # no checksum of them is published
    "gumbel": Checkpoint("vq-wav2vec.pt", url="https://dl.fbaipublicfiles.com/fairseq/wav2vec/vq-wav2vec.pt"),
    "kmeans": Checkpoint("vq-wav2vec_kmeans.pt", url="https://dl.fbaipublicfiles.com/fairseq/wav2vec/vq-wav2vec_kmeans.pt"),
}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], FILES.get(name)
    spec = Spec(
        name="vq_wav2vec",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / HOP, "semantic", table="vectors"),) * GROUPS,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        decodes=False,
        source="https://arxiv.org/abs/1910.05453, https://github.com/facebookresearch/fairseq/tree/main/examples/wav2vec",
        licence="MIT" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
