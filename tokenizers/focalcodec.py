"""FocalCodec (Della Libera et al. 2025, arxiv.org/abs/2502.04465): a code of 11 to 16 bits per frame, 50, 25 or 12.5 frames per second.

wav [B, 1, T] at 16 kHz -> the features of WavLM-large's sixth layer -> focal modulation that narrows and shortens them to a few numbers a
frame, whose signs are the code -> codes [B, 1, F] -> the same way back -> wav [B, 1, F * hop] by Vocos. WavLM gives (T - 80) // 320
features, which the compressor fills up to whole frames. At 50 Hz, where fewer than 80 samples follow the last whole hop, zeros stand for
them, so that it has a frame, which the authors' code leaves out. T below 400 is filled up to 400. Not causal: a frame hears the whole clip.

The streaming models (`...-causal`, arxiv.org/abs/2509.16195) have 16 kHz in, 24 kHz out by WaveNeXt and a code for every begun hop. A code
hears the past and up to three frames that follow in its chunk of four, 80 ms: Spec.causal would say that it hears none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.attentive_vocos import EPSILON, InverseSTFT
from bench.nn.causal_wavlm import CausalWavLM
from bench.nn.conv import Memory
from bench.nn.focal import Focal
from bench.nn.hubert import HOP, WINDOW, Hubert, HubertShape
from bench.nn.latent_codec import LatentCodec
from bench.nn.quantizers import BinarySphericalQuantizer
from bench.nn.stream import FrameStream
from bench.nn.vocos import PaddedConv1d, Stack
from bench.nn.wavenext import WaveNeXt
from bench.weights.files import filled_or_drawn, renamed_by, seeded

RATE = 16_000
WAVLM = HubertShape(1024, heads=16, feedforward=4096, conv_norm="layer", pre_norm=True, buckets=320)  # the clip is not normalized here

TINY_WAVLM = replace(
    WAVLM, dimension=32, heads=2, feedforward=64, channels=32, position_kernel=16, position_groups=4, buckets=32, max_distance=80
)


@dataclass(frozen=True)
class Config:
    """All numbers of a FocalCodec."""

    focal: Focal
    encoder: HubertShape = WAVLM
    encoder_layers: int = 6
    width: int = 512  # of the decoder's blocks
    hidden: int = 1536
    decoder_layers: int = 8
    kernel: int = 7
    overlap: float = 3.2  # hops that a window of the inverse transform is long
    window: int = 512  # frames that the streaming encoder attends to
    step: int = HOP  # samples per feature that decode gives

    @property
    def hop(self) -> int:
        """Samples per code."""
        return HOP * self.focal.stride

    @property
    def streams(self) -> bool:
        """Whether it is one of the streaming models."""
        return self.focal.past > 0


def streaming(bits: int) -> Config:
    """A streaming model whose code has so many bits."""
    focal = Focal(dimension=bits, widths=(1024,) * 3, window=14, growth=4, past=512, chunk=4)
    return Config(focal, width=1024, hidden=2048, step=480)


CONFIGS = {
    "50hz": Config(Focal()),
    "25hz": Config(Focal(strides=(2, 1, 1))),
    "12.5hz": Config(Focal(strides=(2, 2, 1))),
    "50hz-65k-causal": streaming(16),
    "50hz-4k-causal": streaming(12),
    "50hz-2k-causal": streaming(11),
    "tiny": Config(
        Focal(features=32, dimension=6, widths=(32, 16, 8), strides=(2, 1, 1)),
        TINY_WAVLM,
        encoder_layers=2,
        width=32,
        hidden=64,
        decoder_layers=2,
    ),
    "tiny-causal": Config(
        Focal(features=32, dimension=6, widths=(32,) * 3, window=5, growth=2, past=16, chunk=4),
        TINY_WAVLM,
        encoder_layers=2,
        width=32,
        hidden=64,
        decoder_layers=2,
        window=16,
        step=480,
    ),
}


class Encoder(nn.Module):
    """wav [B, 1, T] -> latents [B, D, F]."""

    def __init__(self, config: Config):
        super().__init__()
        self.features = Hubert(config.encoder, config.encoder_layers)
        self.compressor = config.focal.compressor()
        self.filled_up = config.focal.stride == 1  # else the compressor fills up to whole frames, which reach as far

    def forward(self, wav: Tensor) -> Tensor:
        if self.filled_up:
            wav = F.pad(wav, (0, max(0, WINDOW - HOP - wav.shape[-1] % HOP)))
        return self.compressor(self.features(wav).transpose(1, 2))


class Decoder(nn.Module):
    """Latents [B, D, F] -> wav [B, 1, F * hop]."""

    def __init__(self, config: Config):
        super().__init__()
        self.decompressor = config.focal.decompressor()
        self.embed = PaddedConv1d(config.focal.features, config.width, config.kernel, groups=1)
        self.stack = Stack(config.width, config.hidden, config.kernel, config.decoder_layers, causal=False, epsilon=EPSILON)
        self.head = InverseSTFT(config.width, HOP, config.overlap)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stack(self.embed(self.decompressor(x))))


class StreamingEncoder(nn.Module):
    """wav [B, 1, T] -> latents [B, D, ceil(T / hop)]; a piece of a stream is whole chunks long, but for the last."""

    def __init__(self, config: Config):
        super().__init__()
        self.features = CausalWavLM(config.encoder, config.encoder_layers, config.focal.chunk, config.window)
        self.compressor = config.focal.compressor()

    def forward(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        return self.compressor(self.features(wav, memory).transpose(1, 2), memory)


class StreamingDecoder(WaveNeXt):
    """Latents [B, D, F] -> wav [B, 1, F * step]; a piece of a stream is whole chunks long, but for the last."""

    def __init__(self, config: Config):
        super().__init__(config.focal.features, config.width, config.hidden, config.decoder_layers, config.kernel, config.step)
        self.decompressor = config.focal.decompressor()

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return super().forward(self.decompressor(x, memory), memory)


class StreamingFocalCodec(LatentCodec[BinarySphericalQuantizer]):
    """A FocalCodec that also works chunk by chunk."""

    def __init__(self, config: Config, spec: Spec):
        quantizer = BinarySphericalQuantizer(config.focal.dimension)
        super().__init__(spec, StreamingEncoder(config), quantizer, StreamingDecoder(config), config.step, whole=False)
        self.chunk = config.focal.chunk

    def stream_encoder(self) -> FrameStream:
        """wav pieces [B, 1, n] -> codes [B, 1, m]."""
        empty = torch.zeros(1, 1, 0, dtype=torch.int64, device=self.quantizer.places.device)
        return FrameStream(lambda wav, memory: self.quantizer.encode(self.encoder(wav, memory)), HOP * self.chunk, empty, fill=False)

    def stream_decoder(self) -> FrameStream:
        """codes [B, 1, m] -> wav pieces [B, 1, m * step]."""
        empty = torch.zeros(1, 1, 0, device=self.quantizer.places.device)
        return FrameStream(lambda codes, memory: self.decoder(self.quantizer.decode(codes), memory), self.chunk, empty, fill=False)


def build(spec: Spec) -> LatentCodec[BinarySphericalQuantizer]:
    """The model of a variant, without weights."""
    config = CONFIGS[spec.variant]
    if config.streams:
        return StreamingFocalCodec(config, spec)
    quantizer = BinarySphericalQuantizer(config.focal.dimension)
    return LatentCodec(spec, Encoder(config), quantizer, Decoder(config), config.hop, whole=False)


BESIDE = ("encoder.encoder.norm.", "quantizer.mask")  # what releases hold beside: WavLM's last norm, which layer 6 does without
NAMES = (  # pattern in a checkpoint of the authors' code, of both its versions -> here
    (r"^encoder\.feature_extractor\.layers\.(\d+)\.conv\.", r"encoder.features.convolutions.layers.\1."),
    (r"^encoder\.feature_extractor\.layers\.(\d+)\.norm\.", r"encoder.features.convolutions.norms.\1."),
    (r"^encoder\.norm\.", "encoder.features.projection_norm."),
    (r"^encoder\.feature_proj\.", "encoder.features.projection."),
    (r"^encoder\.encoder\.positional_embedding\.conv\.", "encoder.features.positions."),
    (r"^encoder\.encoder\.relative_embedding\.", "encoder.features.distances."),
    (r"^encoder\.encoder\.layers\.", "encoder.features.layers."),
    (r"\.attention_norm\.", ".norm1."),
    (r"\.attention\.qkv_proj\.", ".attention.in_proj."),
    (r"\.attention\.gru_rel_pos_linear\.", ".attention.gate."),
    (r"\.attention\.gru_rel_pos_const$", ".attention.gate_scale"),
    (r"^compressor\.layers\.(\d+)\.(?:downscale|0)\.downscale\.", r"encoder.compressor.layers.\1.conv."),
    (r"^compressor\.layers\.(\d+)\.(?:downscale|0)\.activation\.", r"encoder.compressor.layers.\1.snake."),
    (r"^compressor\.layers\.(\d+)\.(?:focal_block|1)\.", r"encoder.compressor.layers.\1.block."),
    (r"^compressor\.", "encoder.compressor."),
    (r"^decompressor\.layers\.(\d+)\.(?:upscale|1)\.upscale\.", r"decoder.decompressor.layers.\1.conv."),
    (r"^decompressor\.layers\.(\d+)\.(?:upscale|1)\.activation\.", r"decoder.decompressor.layers.\1.snake."),
    (r"^decompressor\.layers\.(\d+)\.(?:focal_block|0)\.", r"decoder.decompressor.layers.\1.block."),
    (r"^decompressor\.", "decoder.decompressor."),
    (r"\.modulation_norm\.", ".norm1."),
    (r"\.modulation\.layers\.(\d+)\.0\.", r".modulation.layers.\1."),
    (r"\.feed_forward_norm\.", ".norm2."),
    (r"\.feed_forward\.in_proj\.", ".linear1."),
    (r"\.feed_forward\.out_proj\.", ".linear2."),
    (r"^decoder\.backbone\.embedding\.", "decoder.embed."),
    (r"^decoder\.backbone\.input_norm\.", "decoder.stack.norm1."),
    (r"^decoder\.backbone\.output_norm\.", "decoder.stack.norm2."),
    (r"^decoder\.backbone\.layers\.", "decoder.stack.layers."),
    (r"\.dwconv\.", ".depthwise."),
    (r"\.pwconv(\d)\.", r".linear\1."),
    (r"\.gamma$", ".scale"),
    (r"^decoder\.head\.proj\.", "decoder.head.linear."),
)


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors' class, of version 0.0.1 (queries, keys and values apart) or 0.0.2, under our names."""
    result = {renamed_by(NAMES, name): value for name, value in state.items() if not name.startswith(BESIDE)}
    for name in [name for name in result if ".attention.q_proj." in name]:
        parts = [result.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        result[name.replace("q_proj", "in_proj")] = torch.cat(parts)
    for name, value in result.items():
        if name.endswith(".snake.alpha"):
            result[name] = value.flatten()
        elif name.endswith(".context_proj.weight"):  # a convolution of one tap
            result[name] = value.squeeze(-1)
    return result


def load(spec: Spec, path: Path | None = None) -> LatentCodec[BinarySphericalQuantizer]:
    """The model of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    return filled_or_drawn(build(spec), spec, path, renamed, draw)


@torch.no_grad()
def draw(model: LatentCodec[BinarySphericalQuantizer], seed: int) -> None:
    """Random weights, with latents around zero: otherwise every frame of a clip would get the same signs."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    assert isinstance(model.encoder, Encoder | StreamingEncoder)
    latents = model.latents(torch.randn(1, 1, 100 * CONFIGS[model.spec.variant].hop, generator=generator) / 3)
    model.encoder.compressor.out_proj.bias.sub_(latents.mean((0, 2)))
    if isinstance(model.decoder, StreamingDecoder):
        for value in model.decoder.head.parameters():
            value.mul_(0.2)  # within full scale


def released(name: str, revision: str) -> Checkpoint:
    """A file of the authors' repositories; its sha256 is published nowhere that could be found: it is read from --weights PATH only."""
    return Checkpoint(f"{name}.safetensors", "", f"https://huggingface.co/lucadellalib/{name}/resolve/{revision}/model.safetensors")


CHECKPOINTS = {
    "50hz": released("focalcodec_50hz", "main"),  # no full revision that holds it could be found
    "25hz": released("focalcodec_25hz", "78304a7b236ae19412f4a3ccbd51f61622cc1d01"),
    "12.5hz": released("focalcodec_12_5hz", "0362a84131191d685f299c5c52bc6169a25c6c3c"),
    "50hz-65k-causal": released("focalcodec_50hz_65k_causal", "484c3f8067a8ca5154343c1c03c4cffa7c4bb6c9"),
    "50hz-4k-causal": released("focalcodec_50hz_4k_causal", "39424d44bc30e7c3f250ce753f7f5703825795bf"),
    "50hz-2k-causal": released("focalcodec_50hz_2k_causal", "main"),
}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], CHECKPOINTS.get(name)
    spec = Spec(
        name="focalcodec",
        variant=name,
        sample_rate=RATE,
        output_rate=RATE * config.step // HOP if config.step != HOP else None,
        codebooks=(Codebook(2**config.focal.dimension, RATE / config.hop),),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2502.04465, https://github.com/lucadellalib/focalcodec",
        licence="Apache-2.0" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
