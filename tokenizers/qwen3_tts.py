"""Qwen3-TTS-Tokenizer-12Hz (Hu et al. 2026, arxiv.org/abs/2601.15621): Mimi's encoder and a decoder of its own, both causal.

wav [B, 1, T] at 24 kHz -> codes [B, K, ceil(T / 1920)], 12.5 frames per second: 1 + 15 codebooks of 2,048. Codes -> transformer that sees
72 frames -> four times the rate -> Snake stages. T is filled up with zeros to whole frames before the first layer; the authors' code leaves
that to each layer, which changes nothing but the last frame of a clip that ends within one. As theirs does, decode begins anew every
300 frames (24 s) and hears the 25 frames before again: so the codes of a minute sound as they do there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn import mimi_names
from bench.nn.causal_snake import CausalSnake, Unit
from bench.nn.checks import require_codes, require_wav
from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.onednn import Linear
from bench.nn.quantize import SplitQuantizer
from bench.nn.seanet import Chain, SEANet, through
from bench.nn.stream import FrameStream, in_pieces
from bench.nn.transformer import Transformer, TransformerShape
from bench.nn.vocos import ConvNeXt
from bench.weights.files import filled_or_drawn, renamed_by, seeded

PIECE = 16  # frames of waveform layers at a time on a CPU: their output is written and read again while it is in the cache


@dataclass(frozen=True)
class Config:
    """All numbers of a codec of this kind."""

    encoder: SEANet = SEANet()
    encoder_transformer: TransformerShape = TransformerShape()
    decoder_transformer: TransformerShape = TransformerShape(
        dimension=512, layers=8, heads=16, feedforward=1024, context=72, head=64, gated=True
    )
    decoder: CausalSnake = CausalSnake()
    levels: int = 16
    size: int = 2048
    dimension: int = 256  # of the codebooks' vectors
    stride: int = 2  # from the waveform encoder's rate to the frame rate
    doublings: int = 2  # of the rate, before the waveform decoder
    chunk: int = 300  # frames after which decoding begins anew
    context: int = 25  # frames that it then hears again
    sample_rate: int = 24_000

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.encoder.hop * self.stride


CONFIGS = {
    "12hz": Config(),
    "tiny": Config(
        SEANet(filters=4, dimension=32),
        TransformerShape(32, layers=1, heads=2, feedforward=64, context=16),
        TransformerShape(32, layers=1, heads=4, feedforward=64, context=6, head=16, gated=True),
        CausalSnake(filters=64, dimension=48),
        levels=4,
        size=64,
        dimension=8,
        chunk=10,
        context=3,
    ),
}


class Encoder(nn.Module):
    """Mimi's: wav [B, 1, n * hop] -> codes [B, K, n]."""

    def __init__(self, config: Config):
        super().__init__()
        width = config.encoder.dimension
        self.piece = PIECE * config.hop
        self.encoder, self.encoder_transformer = config.encoder.encoder(), Transformer(config.encoder_transformer)
        self.downsample = CausalConv1d(width, width, 2 * config.stride, config.stride, bias=False, pad="replicate")
        self.quantizer = SplitQuantizer(config.levels, config.size, config.dimension, width)

    def latents(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        """wav [B, 1, n * hop] -> [B, D, n] before quantization."""
        x = in_pieces(self.encoder, wav, self.piece, memory)
        return self.downsample(self.encoder_transformer(x, memory), memory)


class Decoder(nn.Module):
    """Codes [B, K, n] -> wav [B, 1, n * hop]."""

    def __init__(self, config: Config):
        super().__init__()
        inner, width, latent = config.decoder_transformer.dimension, config.decoder.dimension, config.encoder.dimension
        self.piece = PIECE * 2**config.doublings
        self.quantizer = SplitQuantizer(config.levels, config.size, config.dimension, latent)
        self.first = CausalConv1d(latent, width, 3)
        self.narrow, self.widen = Linear(width, inner), Linear(inner, width)
        self.transformer, self.norm = Transformer(config.decoder_transformer), nn.RMSNorm(inner, config.decoder_transformer.epsilon)
        self.ups = nn.ModuleList(
            Chain(CausalConvTranspose1d(width, width, 2, 2), ConvNeXt(width, 4 * width, 7, 1e-6, causal=True, epsilon=1e-6))
            for _ in range(config.doublings)
        )
        self.waveform = config.decoder.decoder()

    def forward(self, codes: Tensor, memory: Memory | None = None) -> Tensor:
        return self.unbounded(codes, memory).clamp(-1, 1)

    def unbounded(self, codes: Tensor, memory: Memory | None = None) -> Tensor:
        """The same before its samples are kept within full scale."""
        x = self.narrow(self.first(self.quantizer.decode(codes), memory).transpose(1, 2))
        x = self.transformer(x.transpose(1, 2), memory)
        x = through(self.ups, self.widen(self.norm(x.transpose(1, 2))).transpose(1, 2), memory)
        return in_pieces(self.waveform, x, self.piece, memory)


class Qwen3TTS(nn.Module):
    """The codec."""

    def __init__(self, config: Config, spec: Spec):
        super().__init__()
        self.config, self.spec = config, spec
        self.encoder, self.decoder = Encoder(config), Decoder(config)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, K, ceil(T / hop)]."""
        require_wav(wav)
        return self._encode(F.pad(wav, (0, -wav.shape[-1] % self.config.hop)))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, n], n >= 1 -> wav [B, 1, n * hop]."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        chunk, wavs = self.config.chunk, []
        for start in range(0, codes.shape[-1], chunk):
            known = min(start, self.config.context)
            wavs.append(self.decoder(codes[..., start - known : start + chunk])[..., known * self.config.hop :])
        return torch.cat(wavs, dim=-1)

    def stream_encoder(self) -> FrameStream:
        """wav pieces [B, 1, n] -> codes [B, K, m]."""
        empty = torch.zeros(1, len(self.spec.codebooks), 0, dtype=torch.int64, device=self._device)
        return FrameStream(self._encode, self.config.hop, empty)

    def stream_decoder(self) -> FrameStream:
        """codes [B, K, m] -> wav pieces [B, 1, m * hop]."""
        return FrameStream(self._decode_next, 1, torch.zeros(1, 1, 0, device=self._device))

    @property
    def _device(self) -> torch.device:
        return self.encoder.downsample.weight.device

    def _encode(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        return self.encoder.quantizer.encode(self.encoder.latents(wav, memory), len(self.spec.codebooks))

    def _decode_next(self, codes: Tensor, memory: Memory) -> Tensor:
        """The audio of the next codes of a stream, which begins anew where decode does."""
        return torch.cat([self.decoder(piece, memory) for piece in self._chunked(codes, memory)], dim=-1)

    def _chunked(self, codes: Tensor, memory: Memory) -> Iterator[Tensor]:
        """The next codes in pieces of one chunk each; between chunks the memory becomes that of the last frames alone."""
        recent, count = memory.pop(self, (codes[..., :0], torch.zeros((), dtype=torch.int64)))
        done = int(count)
        while codes.shape[-1]:
            if done == self.config.chunk:
                memory.clear()
                self.decoder(recent, memory)
                done = 0
            now, codes = codes[..., : self.config.chunk - done], codes[..., self.config.chunk - done :]
            recent, done = torch.cat([recent, now], dim=-1)[..., -self.config.context :], done + now.shape[-1]
            yield now
        memory[self] = (recent, torch.tensor(done))


NAMES = (  # the decoder's in a checkpoint of the authors' code, after those that it has in common with Mimi's -> here
    (r"^pre_conv\.", "first."),
    (r"^pre_transformer\.layers\.(\d+)\.mlp\.gate_proj\.", r"transformer.layers.\1.gate."),
    (r"^pre_transformer\.layers\.(\d+)\.mlp\.up_proj\.", r"transformer.layers.\1.linear1."),
    (r"^pre_transformer\.layers\.(\d+)\.mlp\.down_proj\.", r"transformer.layers.\1.linear2."),
    (r"^pre_transformer\.input_proj\.", "narrow."),
    (r"^pre_transformer\.output_proj\.", "widen."),
    (r"^pre_transformer\.norm\.", "norm."),
    (r"^pre_transformer\.", "transformer."),
    (r"^upsample\.(\d+)\.", r"ups.\1.layers."),
    (r"^decoder\.5\.", "waveform.layers.5.layers.0."),
    (r"^decoder\.6\.", "waveform.layers.5.layers.1."),
    (r"^decoder\.", "waveform.layers."),
    (r"\.act1\.", ".layers.0."),
    (r"\.conv1\.", ".layers.1."),
    (r"\.act2\.", ".layers.2."),
    (r"\.conv2\.", ".layers.3."),
    (r"\.dwconv\.", ".depthwise."),
    (r"\.pwconv(\d)\.", r".linear\1."),
    (r"\.gamma$", ".scale"),
)


def renamed(state: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The authors' state dict under our names, without the encoder's codebooks that nobody uses: theirs has 32."""
    sides: dict[str, dict[str, Tensor]] = {"encoder.": {}, "decoder.": {}, "": {}}
    for name, value in state.items():
        side = next(side for side in sides if name.startswith(side))
        sides[side][name.removeprefix(side)] = value
    result = sides[""]
    for name, value in mimi_names.renamed(sides["encoder."], config.encoder_transformer.heads).items():
        level = re.match(r"quantizer\.rvq_rest\.layers\.(\d+)\.", name)
        if level is None or int(level[1]) < config.levels - 1:
            result[f"encoder.{name}"] = value
    for name, value in mimi_names.renamed(sides["decoder."], config.decoder_transformer.heads).items():
        name = f"decoder.{renamed_by(NAMES, name)}"
        result[name] = value
        if name.endswith(".cluster_usage"):  # the decoder's codebooks do not learn, so theirs have no such mark
            result[name.replace("cluster_usage", "initialized")] = torch.ones(1)
    return result


def load(spec: Spec, path: Path | None = None) -> Qwen3TTS:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant.split("-")[0]]
    return filled_or_drawn(Qwen3TTS(config, spec), spec, path, lambda state: renamed(state, config), draw)


@torch.no_grad()
def draw(model: Qwen3TTS, seed: int) -> None:
    """Random weights, with codebooks around the latents of noise, the same on both sides, and audio within full scale."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    loudness = torch.rand(1, 1, 200, generator=generator).repeat_interleave(model.config.hop // 2, dim=-1)
    wav = 0.5 * loudness * torch.randn(loudness.shape, generator=generator)
    for part in (model.encoder.quantizer.rvq_first, model.encoder.quantizer.rvq_rest):
        part.scatter(model.encoder.latents(wav), generator)
    model.decoder.quantizer.load_state_dict(model.encoder.quantizer.state_dict())
    for unit in (layer for layer in model.decoder.waveform.modules() if isinstance(layer, Unit)):
        unit.layers[-1].get_parameter("weight").mul_(0.3)  # sines of ever larger values would be decided by rounding
    heard, last = model.decoder.unbounded(model.encode(wav[..., : 10 * model.config.hop])), model.decoder.waveform.layers[-1]
    last.get_parameter("layers.1.bias").sub_(heard.mean())
    for value in (last.get_parameter("layers.1.weight"), last.get_parameter("layers.1.bias")):
        value.mul_(0.2 / heard.std())


RELEASED = Checkpoint(
    "qwen3_tts_tokenizer_12hz.safetensors",
    sha256="836b7b357f5ea43e889936a3709af68dfe3751881acefe4ecf0dbd30ba571258",
    url="https://huggingface.co/Qwen/Qwen3-TTS-Tokenizer-12Hz/resolve/7dd38ad4e9bad454aae9cd937d0cd577604fe229/model.safetensors",
)


def variant(name: str, levels: int, checkpoint: Checkpoint | None = None) -> Variant:
    """A line of VARIANTS: a configuration with the first `levels` of its codebooks."""
    config = CONFIGS[name.split("-")[0]]
    rate = config.sample_rate / config.hop
    spec = Spec(
        name="qwen3_tts",
        variant=name,
        sample_rate=config.sample_rate,
        codebooks=(Codebook(config.size, rate, role="semantic"), *(Codebook(config.size, rate, role="acoustic"),) * (levels - 1)),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        causal=True,
        source="https://arxiv.org/abs/2601.15621, https://github.com/QwenLM/Qwen3-TTS",
        licence="Apache-2.0" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS: dict[str, Variant] = {
    "12hz": variant("12hz", 16, RELEASED),
    **{f"12hz-{n}cb": variant(f"12hz-{n}cb", n, RELEASED) for n in (1, 2, 4, 8)},
    "tiny": variant("tiny", 4),
}
HUB_IDS = {"Qwen/Qwen3-TTS-Tokenizer-12Hz": "12hz"}
