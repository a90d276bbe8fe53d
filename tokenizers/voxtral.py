"""The codec of Voxtral TTS (Mistral AI 2026, arxiv.org/abs/2603.25551): a semantic code and 36 acoustic digits, 12.5 times per second.

Causal convolutions and transformers over patches of 240 samples, at 100, 50, 25 and 12.5 Hz. Of the latents, 256 numbers get the nearest of
8,192 vectors, each of 36 others is squashed by a hyperbolic tangent and rounded to one of 21 steps. Mistral released the decoder and the
quantizer; of the encoder there is the code alone, so the published variant decodes, and `encode` works with weights of your own.
The codes of Mistral's language model are these plus two. Decoding begins anew every 30 s, as in vllm-omni.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, UserError, Variant, sha256_of_all
from bench.nn import quantize
from bench.nn.alibi import AlibiAttention
from bench.nn.checks import require_codes, require_wav
from bench.nn.conv import CausalConv1d, CausalConvTranspose1d
from bench.nn.reflect import ReflectConv1d
from bench.nn.transformer import Transformer, TransformerShape
from bench.weights.files import fill, fold_weight_norm, load_state, renamed_by, seed_of, seeded

RATE = 24_000


@dataclass(frozen=True)
class Config:
    """All numbers of a codec of this kind. `kernels` and `strides`: of the convolutions behind the encoder's transformers."""

    dimension: int = 1024
    heads: int = 8
    head: int = 128
    feedforward: int = 4096
    layers: int = 2  # of each transformer
    window: int = 16  # frames before its own that a frame of the fastest transformer sees; half of them where frames are twice as long
    kernels: tuple[int, ...] = (4, 4, 4, 3)
    strides: tuple[int, ...] = (2, 2, 2, 1)
    patch: int = 240  # samples
    patch_kernel: int = 7
    size: int = 8192
    semantic: int = 256  # numbers that the semantic code stands for
    digits: int = 36
    steps: int = 21  # values of a digit
    chunk: int = 375  # frames that are decoded at once

    @property
    def hop(self) -> int:
        """Samples to a frame."""
        return self.patch * math.prod(self.strides)

    @property
    def windows(self) -> list[int]:
        """Of the encoder's transformers, from the fastest to the slowest."""
        return [self.window // math.prod(self.strides[:i]) for i in range(len(self.strides))]

    def transformer(self, window: int) -> Transformer:
        """One of them."""
        shape = TransformerShape(
            *(self.dimension, self.layers, self.heads, self.feedforward, window + 1), head=self.head, gated=True, epsilon=1e-2
        )
        return Transformer(shape, AlibiAttention)


CONFIGS = {
    "24khz": Config(),
    "tiny": Config(dimension=32, heads=2, head=16, feedforward=64, layers=1, size=64, semantic=8, digits=4, chunk=10),
}


class Encoder(nn.Module):
    """wav [B, 1, n * hop] -> latents [B, semantic + digits, n]."""

    def __init__(self, config: Config):
        super().__init__()
        width, self.patch = config.dimension, config.patch
        self.project = ReflectConv1d(config.patch, width, config.patch_kernel, bias=False)
        self.blocks = nn.ModuleList()
        for i, (window, kernel, stride) in enumerate(zip(config.windows, config.kernels, config.strides, strict=True)):
            outputs = width if i < len(config.strides) - 1 else config.semantic + config.digits
            self.blocks.append(config.transformer(window))
            self.blocks.append(CausalConv1d(width, outputs, kernel, stride, bias=False, pad="replicate"))

    def forward(self, wav: Tensor) -> Tensor:
        x = self.project(wav[:, 0].unflatten(-1, (-1, self.patch)).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        return x


class Decoder(nn.Module):
    """Latents [B, semantic + digits, n] -> wav [B, 1, n * hop]."""

    def __init__(self, config: Config):
        super().__init__()
        width = config.dimension
        first = CausalConv1d(config.semantic + config.digits, width, config.kernels[-1], bias=False, pad="replicate")
        self.blocks = nn.ModuleList([first])
        for i in reversed(range(len(config.strides))):
            self.blocks.append(config.transformer(config.windows[i]))
            if i:
                self.blocks.append(CausalConvTranspose1d(width, width, config.kernels[i - 1], config.strides[i - 1], bias=False))
        self.project = ReflectConv1d(width, config.patch, config.patch_kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.project(x).transpose(1, 2).flatten(1)[:, None]


class Voxtral(nn.Module):
    """The codec; `encodes`: it has an encoder."""

    def __init__(self, spec: Spec, config: Config, encodes: bool):
        super().__init__()
        self.spec, self.config = spec, config
        self.encoder = Encoder(config) if encodes else None
        self.codebook = quantize.Codebook(config.size, config.semantic)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], any T >= 1 -> codes [B, 1 + digits, ceil(T / hop)]. UserError where the weights hold no encoder."""
        require_wav(wav)
        if self.encoder is None:
            raise UserError(f"{self.spec.label} only decodes: Mistral released no weights of its encoder")
        x = self.encoder(F.pad(wav, (0, -wav.shape[-1] % self.config.hop)))
        points, rest = x.split([self.config.semantic, self.config.digits], dim=1)
        first = self.codebook.encode(points.transpose(1, 2).flatten(0, 1)).view(len(x), 1, -1)
        return torch.cat([first, ((rest.tanh() + 1) / 2 * (self.config.steps - 1)).round().long()], dim=1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1 + digits, F] -> wav [B, 1, F * hop]."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        points = self.codebook.decode(codes[:, 0]).transpose(1, 2)
        latents = torch.cat([points, codes[:, 1:] * 2 / (self.config.steps - 1) - 1], dim=1)
        return torch.cat([self.decoder(part) for part in latents.split(self.config.chunk, dim=-1)], dim=-1)


NAMES = (  # pattern in a state dict of vllm-omni's class -> here
    (r"^audio_tokenizer\.", ""),
    (r"\.conv\.weight$", ".weight"),
    (r"^input_proj\.", "encoder.project."),
    (r"^output_proj\.", "decoder.project."),
    (r"^(en|de)coder_blocks\.", r"\1coder.blocks."),
    (r"^quantizer\.semantic_codebook\.", "codebook."),
    (r"\.attention_norm\.", ".norm1."),
    (r"\.ffn_norm\.", ".norm2."),
    (r"\.attention_scale$", ".scale1"),
    (r"\.ffn_scale$", ".scale2"),
    (r"\.feed_forward\.w1\.", ".gate."),
    (r"\.feed_forward\.w2\.", ".linear2."),
    (r"\.feed_forward\.w3\.", ".linear1."),
    (r"\.attention\.([qk])_norm\.", r".attention.norm_\1."),
    (r"\.attention\.wo\.", ".attention.out_proj."),
)
OURS = "audio_tokenizer."  # before the codec's names in the file of the whole model
BESIDE = "audio_token_embedding."  # the language model's


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of vllm-omni's class, or of the whole model, under our names."""
    if any(name.startswith(OURS) for name in state):
        state = {name: value for name, value in state.items() if name.startswith(OURS)}
    state = {name: value for name, value in fold_weight_norm(state).items() if not name.startswith(BESIDE)}
    result = {renamed_by(NAMES, name): value for name, value in state.items()}
    for name in [name for name in result if name.endswith(".attention.wq.weight")]:
        stem = name.removesuffix("wq.weight")
        result[f"{stem}in_proj.weight"] = torch.cat([result.pop(f"{stem}w{part}.weight") for part in "qkv"])
    return result | {"codebook.initialized": torch.ones(1)}


def load(spec: Spec, path: Path | None = None) -> Voxtral:
    """The codec of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    return made(spec, CONFIGS[spec.variant], path)


def made(spec: Spec, config: Config, path: Path | None) -> Voxtral:
    """A codec of any size; it has an encoder where the file has one."""
    if path is None:
        model = Voxtral(spec, config, encodes=True)
        draw(model, seed_of(spec))
    else:
        state = renamed(load_state(path))
        model = Voxtral(spec, config, encodes=any(name.startswith("encoder.") for name in state))
        fill(model, state, path)
    return model.eval()


@torch.no_grad()
def draw(model: Voxtral, seed: int) -> None:
    """Random weights, with latents of unit size and the vectors around them: otherwise every frame would get the same few codes."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    assert model.encoder is not None
    wav = torch.randn(1, 1, 100 * model.config.hop, generator=generator) * torch.rand(1, 1, 100, generator=generator).repeat_interleave(
        model.config.hop, dim=-1
    )
    last = model.encoder.blocks[-1]
    assert isinstance(last, CausalConv1d)
    last.weight.div_(model.encoder(wav).std((0, 2))[:, None, None])
    points = model.encoder(wav)[0, : model.config.semantic]
    noise = torch.randn(model.codebook.embedding_sum.shape, generator=generator)
    model.codebook.embedding_sum.copy_(points.mean(1) + points.std(1) * noise)
    model.codebook.initialized.fill_(1)
    model.codebook.forget()


CHECKPOINTS = {  # the file of the whole model; its sha256 is published nowhere that could be found: it is read from --weights PATH only
    "24khz": Checkpoint(
        "voxtral-4b-tts-2603.safetensors", "", "https://huggingface.co/mistralai/Voxtral-4B-TTS-2603/resolve/main/consolidated.safetensors"
    ),
}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], CHECKPOINTS.get(name)
    rate = RATE / config.hop
    spec = Spec(
        name="voxtral",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, rate, "semantic"), *(Codebook(config.steps, rate, "acoustic") for _ in range(config.digits))),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        causal=True,
        encodes=checkpoint is None,
        source="https://arxiv.org/abs/2603.25551, https://github.com/vllm-project/vllm-omni",
        licence="CC-BY-NC-4.0" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
