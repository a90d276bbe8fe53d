"""FACodec (Ju et al. 2024, arxiv.org/abs/2403.03100): prosody, content and detail in codes of their own, the voice apart.

NaturalSpeech 3's codec. wav [B, 1, T] at 16 kHz -> codes [B, 6, ceil(T / 200)], 80 frames per second, six codebooks of 1,024: one of
prosody, two of content, and three of what these leave of the latents; and once an utterance the voice, 256 numbers sent as float16, 4,096
bits. Encoder and decoder have DAC's form with an activation that does not alias; the voice scales and moves the normed latents before the
decoder. Not causal. T is filled up with zeros to whole frames. The authors' position embedding counts the items of a batch, not the
frames: every item gets the first one's here, as it does alone in the authors' code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Tokenizer, Variant, sha256_of_all
from bench.nn import dac_names
from bench.nn.anti_aliased import anti_aliased_snake
from bench.nn.checks import require_codes, require_wav
from bench.nn.factorised import FactorisedQuantizer
from bench.nn.onednn import linear
from bench.nn.random_weights import loud_and_quiet
from bench.nn.side import WORD, codes_to_floats, floats_to_codes
from bench.nn.snake import Conv, SnakeNet
from bench.weights.files import fill, fold_weight_norm, load_state, renamed_by, seed_of, seeded

RATE = 16_000
LEVELS: dict[Literal["prosody", "content", "acoustic"], int] = {"prosody": 1, "content": 2, "acoustic": 3}  # codebooks of each stream


@dataclass(frozen=True)
class Config:
    """All numbers of a FACodec."""

    waveform: SnakeNet = SnakeNet(
        (2, 4, 5, 5), filters=32, dimension=256, decoder_filters=1024, complete=True, activation=anti_aliased_snake
    )
    size: int = 1024
    dimension: int = 8  # of the codebooks' vectors
    layers: int = 4  # of the network that hears the voice
    heads: int = 4
    feedforward: int = 1024
    kernel: int = 5


TINY = SnakeNet((2, 4, 5, 5), filters=2, dimension=16, decoder_filters=64, complete=True, activation=anti_aliased_snake)
CONFIGS = {"16khz": Config(), "tiny": Config(TINY, size=64, dimension=4, layers=2, feedforward=32)}


class VoiceLayer(nn.Module):
    """Pre-norm attention over all frames, and a convolution and a product with ReLU between: [B, F, D] -> [B, F, D]."""

    def __init__(self, width: int, config: Config):
        super().__init__()
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.conv = Conv(width, config.feedforward, config.kernel, padding=config.kernel // 2)
        self.linear = nn.Linear(config.feedforward, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = linear(self.in_proj, self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + linear(self.out_proj, F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + linear(self.linear, self.conv(self.norm2(x).transpose(1, 2)).transpose(1, 2).relu())


class Voice(nn.Module):
    """Latents [B, D, F] -> what all frames have in common [B, D]."""

    first: Tensor

    def __init__(self, config: Config):
        super().__init__()
        width = config.waveform.dimension
        self.register_buffer("first", torch.arange(width) % 2.0, persistent=False)  # sines and cosines of position 0
        self.layers = nn.Sequential(*(VoiceLayer(width, config) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.layers(x.transpose(1, 2) + self.first)).mean(1)


class FACodec(nn.Module):
    """The codec. Its spec has side codes: encode gives them beside the frames', decode takes both."""

    def __init__(self, config: Config, spec: Spec):
        super().__init__()
        self.spec, self.hop = spec, config.waveform.hop
        width = config.waveform.dimension
        self.encoder, self.decoder = config.waveform.encoder(), config.waveform.decoder()
        self.quantizers = nn.ModuleList(FactorisedQuantizer(n, config.size, config.dimension, width) for n in LEVELS.values())
        self.voice = Voice(config)
        self.style = nn.Linear(width, 2 * width)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """wav [B, 1, T], T >= 1 -> codes [B, 6, ceil(T / 200)] and side [B, D, 1]."""
        require_wav(wav)
        x = self.latents(wav)
        return self.codes(x), floats_to_codes(self.voice(x)[..., None])

    @torch.no_grad()
    def decode(self, codes: Tensor, side: Tensor) -> Tensor:
        """codes [B, 6, F] and side [B, D, 1] -> wav [B, 1, F * 200]."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        require_codes(side, len(self.spec.side), least=1)
        return self.synthesis(codes, codes_to_floats(side)[..., 0])

    def latents(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], filled up with zeros to whole frames -> [B, D, F]."""
        return self.encoder(F.pad(wav, (0, -wav.shape[-1] % self.hop)))

    def codes(self, x: Tensor) -> Tensor:
        """Latents [B, D, F] -> codes [B, 6, F]: prosody and content each of the latents, detail of what they leave."""
        prosody, content, detail = self.streams()
        first, second = prosody.encode(x), content.encode(x)
        return torch.cat([first, second, detail.encode(x - prosody.decode(first) - content.decode(second))], dim=1)

    def synthesis(self, codes: Tensor, voice: Tensor) -> Tensor:
        """codes [B, 6, F] and voice [B, D] -> wav [B, 1, F * 200]."""
        parts = zip(self.streams(), codes.split(list(LEVELS.values()), dim=1), strict=True)
        x = torch.stack([quantizer.decode(part) for quantizer, part in parts]).sum(0).transpose(1, 2)
        scale, shift = self.style(voice)[:, None].chunk(2, dim=-1)
        return self.decoder(torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), scale).transpose(1, 2))

    def streams(self) -> list[FactorisedQuantizer]:
        """The quantizers of prosody, content and detail."""
        return [quantizer for quantizer in self.quantizers if isinstance(quantizer, FactorisedQuantizer)]


TRAINING = re.compile(r"^(f0_predictor|phone_predictor|(res|content|prosody|x)_\w+_predictor|timbre_encoder\.position_emb)\.")
DECODER = (  # pattern in the authors' file of the decoder -> here, or as in one of DAC's
    (r"^model\.", "decoder.model."),
    (r"^quantizer\.(\d)\.layers\.(\d)\._codebook\.", r"quantizers.\1.layers.\2.codebook."),
    (r"^quantizer\.", "quantizers."),
    (r"^timbre_linear\.", "style."),
    (r"^timbre_encoder\.last_ln\.", "voice.norm."),
    (r"^timbre_encoder\.", "voice."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.self_attn\.in_proj_", ".in_proj."),
    (r"\.self_attn\.", "."),
    (r"\.ffn\.ffn_1\.", ".conv."),
    (r"\.ffn\.ffn_2\.", ".linear."),
)
FILTERS = ((r"\.upsample\.filter$", ".up"), (r"\.downsample\.lowpass\.filter$", ".down"))


def renamed(encoder: dict[str, Tensor], decoder: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The authors' two state dicts under our names, weight norm folded, without what training alone needs."""
    named = {f"encoder.{name}": value for name, value in encoder.items()}
    named |= {renamed_by(DECODER, name): value for name, value in decoder.items() if not TRAINING.match(name)}
    result = {renamed_by(FILTERS, name): value for name, value in fold_weight_norm(named).items()}
    for name in [name for name in result if re.search(r"\.(in|out)_proj\.weight$", name) and name.startswith("quantizers.")]:
        result[name] = result[name][..., None]  # a product is a convolution of one tap
    return dac_names.renamed(result, len(config.waveform.rates))


def load(spec: Spec, encoder: Path | None = None, decoder: Path | None = None) -> FACodec:
    """The model of a variant, with the weights of the authors' two files, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    model = FACodec(config, spec)
    if encoder is None or decoder is None:
        draw(model, seed_of(spec))
    else:
        fill(model, renamed(load_state(encoder), load_state(decoder), config), decoder)
    return model.eval()


@torch.no_grad()
def draw(model: FACodec, seed: int) -> None:
    """Random weights, with codebooks around the latents of noise and quiet audio: otherwise everything would get the same few codes."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    for name, value in model.named_parameters():
        if name.endswith((".alpha", ".beta")):
            value.copy_(torch.randn(value.shape, generator=generator) / 2)
        elif name.endswith("3.weight"):  # what a residual unit adds is a part
            value.mul_(0.3)
    x = model.latents(loud_and_quiet(model.hop, generator))
    last, end = model.encoder[-1], model.decoder[-2]
    assert isinstance(last, nn.Conv1d) and isinstance(end, nn.Conv1d) and last.bias is not None
    last.bias.sub_(x.mean((0, 2)))
    x = x - x.mean((0, 2))[:, None]
    for stream in model.streams():
        stream.scatter(x, generator)
    end.weight.mul_(0.2)


PLACE = "https://huggingface.co/amphion/naturalspeech3_facodec/resolve/18def1a9dc9d12d72118c3efe46477385f4fe790"
ENCODER = Checkpoint(
    "ns3_facodec_encoder.bin",
    sha256="c8fa7b8d79ccd915e6c3b19cd3c9d5f4cba3fbeb794a2e598d7e31db8efee47e",
    url=f"{PLACE}/ns3_facodec_encoder.bin",
)
DECODER_FILE = Checkpoint(
    "ns3_facodec_decoder.bin",
    sha256="4b8f2c9a691385c1a61542585116f52263a029758dcb4a3a955ff2c190afd536",
    url=f"{PLACE}/ns3_facodec_decoder.bin",
    cure="it is the decoder, --weights names the encoder",
)


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, files = CONFIGS[name], () if name == "tiny" else (ENCODER, DECODER_FILE)
    rate = RATE / config.waveform.hop
    spec = Spec(
        name="facodec",
        variant=name,
        sample_rate=RATE,
        codebooks=tuple(Codebook(config.size, rate, role) for role, count in LEVELS.items() for _ in range(count)),
        weights=sha256_of_all(*files) if files else "seed:0",
        side=(Codebook(WORD, 0, "timbre"),) * config.waveform.dimension,
        source="https://arxiv.org/abs/2403.03100, https://github.com/open-mmlab/Amphion/tree/main/models/codec/ns3_codec",
        licence="Apache-2.0" if files else "",
    )
    loader = cast(Callable[..., Tokenizer], load)  # it is a bench.api.SideTokenizer
    return Variant(spec, loader, files[0], beside=files[1:]) if files else Variant(spec, loader)


VARIANTS = {name: variant(name) for name in CONFIGS}
