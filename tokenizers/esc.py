"""ESC (Gu and Diao 2024, arxiv.org/abs/2404.19441): speech at 16 kHz, 1.5 to 9 kbit/s, by transformers over spectra.

wav [B, 1, T] -> complex spectra of 192 bands every 5 ms -> patches -> Swin stages, each at half of the bands -> six levels, each at its
own scale and of three codes of 1,024 every 20 ms -> Swin stages back up -> spectra -> wav. T is filled up to whole frames; the inverse
transform gives 80 samples less than that, as the authors' does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, Variant, sha256_of_all
from bench.nn.checks import require_codes, require_wav
from bench.nn.cross_scale import CrossScaleQuantizer
from bench.nn.onednn import Order
from bench.nn.swin import SwinStage
from bench.weights.files import filled_or_drawn, renamed_by, seeded

RATE = 16_000
STEP, WINDOW, BANDS = 80, 320, 192  # samples from spectrum to spectrum, samples that one sees, bands
PATCH = (3, 2)  # bands and spectra
OVERLAP = 2  # columns of patches to a code
HOP = STEP * PATCH[1] * OVERLAP
PARTS = 3  # codes of a level


@dataclass(frozen=True)
class Config:
    """All numbers of a codec of this kind: `widths` from the finest scale to the coarsest, `heads` of the stages between them."""

    widths: tuple[int, ...] = (45, 72, 96, 144, 192, 384)
    heads: tuple[int, ...] = (3, 6, 12, 24, 24)
    layers: int = 2  # of a stage
    window: int = 4
    size: int = 1024
    dimension: int = 8

    @property
    def scales(self) -> list[tuple[int, int]]:
        """Bands and width of the maps that each level quantizes, the coarsest first."""
        levels = len(self.widths)
        bands = BANDS // PATCH[0] // 2 ** (levels - 1)
        return [(bands, self.widths[-1]), *((bands * 2**i, self.widths[-1 - i]) for i in range(levels - 1))]


KINDS = {"base": Config(), "adv": Config(), "large": Config(layers=4), "tiny": Config((6, 12, 24), (2, 2), 2, size=32)}


class Encoder(nn.Module):
    """Spectra [B, 2, bands, n] -> maps [B, H, T, C] of every scale that is quantized, the coarsest first."""

    def __init__(self, config: Config):
        super().__init__()
        widths, settings = config.widths, (config.layers, config.window)
        self.embed, self.norm = nn.Conv2d(2, widths[0], PATCH, PATCH), nn.LayerNorm(widths[0])
        self.first = SwinStage(widths[0], widths[0], config.heads[0], *settings)
        pairs = zip(widths, widths[1:], config.heads, strict=False)
        self.stages = nn.ModuleList(SwinStage(here, there, heads, *settings, "down") for here, there, heads in pairs)

    def forward(self, spectra: Tensor) -> list[Tensor]:
        x = self.first(self.norm(self.embed(spectra).permute(0, 2, 3, 1)))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[::-1]


class Decoder(nn.Module):
    """The finest map [B, H, T, C] -> spectra [B, 2, bands, 2 T]."""

    def __init__(self, config: Config):
        super().__init__()
        width = config.widths[0]
        self.last = SwinStage(width, width, config.heads[0], config.layers, config.window)
        self.project1 = nn.Conv2d(width, width * PATCH[0] * PATCH[1], 5, padding=2)
        self.project2 = nn.Conv2d(width, 2, 3, padding=1)
        self.order = Order()

    def forward(self, x: Tensor) -> Tensor:
        x = self.project1(self.last(x).permute(0, 3, 1, 2))
        if self.order.serves(x):  # laying patches out as a map takes longer than to convolve them
            weight, bias = self.order.of(self.project2.weight, over_patches), self.project2.bias
            assert bias is not None
            x = F.conv2d(x, weight, bias.repeat(PATCH[0] * PATCH[1]), padding=1).permute(0, 2, 3, 1).unflatten(3, (*PATCH, 2))
            return x.transpose(2, 3).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
        x = x.unflatten(1, (*PATCH, -1))  # [B, 3, 2, C, H, T]
        return self.project2(x.permute(0, 3, 4, 1, 5, 2).flatten(4, 5).flatten(2, 3))


def over_patches(weight: Tensor) -> Tensor:
    """A convolution's weight [out, in, 3, 3] over bands and spectra as one over patches, [3 * 2 * out, 3 * 2 * in, 3, 3]."""

    def met(size: int) -> Tensor:
        """[a, k, b, d]: whether tap d of place a of a patch of this size meets place b of patch k, of three."""
        a, k, b, d = torch.meshgrid(*(torch.arange(n) for n in (size, 3, size, 3)), indexing="ij")
        return (size * (k - 1) + b - a == d - 1).to(weight)

    parts = torch.einsum("oide,akbd,xlye->axobyikl", weight, met(PATCH[0]), met(PATCH[1]))
    return parts.flatten(3, 5).flatten(0, 2).contiguous()


class Esc(nn.Module):
    """The codec."""

    window: Tensor

    def __init__(self, spec: Spec, config: Config):
        super().__init__()
        self.spec = spec
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        ways = zip(config.widths[:0:-1], config.widths[-2::-1], config.heads[::-1], strict=True)
        steps = [SwinStage(here, there, heads, config.layers, config.window, "up") for here, there, heads in ways]
        self.quantizer = CrossScaleQuantizer(config.scales, steps, OVERLAP, PARTS, config.size, config.dimension)

    @property
    def analysis(self) -> dict:
        """What both transforms are told."""
        return {"n_fft": 2 * (BANDS - 1), "hop_length": STEP, "win_length": WINDOW, "window": self.window}

    def maps(self, wav: Tensor) -> list[Tensor]:
        """wav [B, 1, T] -> what is quantized: maps of every scale."""
        filled = F.pad(wav[:, 0], (0, -wav.shape[-1] % HOP))
        spectra = torch.stft(filled, **self.analysis, pad_mode="reflect", return_complex=True)
        return self.encoder(torch.view_as_real(spectra).permute(0, 3, 1, 2))

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], any T >= 1 -> codes [B, K, ceil(T / 320)]."""
        require_wav(wav)
        return self.quantizer.encode(self.maps(wav), len(self.spec.codebooks))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, F] -> wav [B, 1, 320 F - 80]."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        spectra = self.decoder(self.quantizer.decode(codes)).permute(0, 2, 3, 1).contiguous()
        return torch.istft(torch.view_as_complex(spectra), **self.analysis)[:, None]


NAMES = (  # pattern in a state dict of the authors' class -> here
    (r"^encoder\.patch_embed\.proj\.", "encoder.embed."),
    (r"^encoder\.patch_embed\.norm\.", "encoder.norm."),
    (r"^encoder\.pre_nn\.", "encoder.first."),
    (r"^encoder\.blocks\.", "encoder.stages."),
    (r"^decoder\.blocks\.", "quantizer.steps."),
    (r"^decoder\.post_nn\.", "decoder.last."),
    (r"^decoder\.patch_deembed\.de_proj([12])\.", r"decoder.project\1."),
    (r"\.swint_blocks\.", ".layers."),
    (r"\.attn\.qkv\.", ".in_proj."),
    (r"\.attn\.proj\.", ".out_proj."),
    (r"\.attn\.relative_position_bias_table$", ".bias"),
    (r"\.mlp\.linear_([12])\.", r".linear\1."),
    (r"\.subsample\.norm\.", ".norm."),
    (r"\.subsample\.(?:down|up)\.", ".project."),
    (r"^quantizers\.(\d+)\.vqs\.(\d+)\.embedding\.", r"quantizer.layers.\1.layers.\2.codebook."),
    (r"^quantizers\.(\d+)\.down_projs\.(\d+)\.", r"quantizer.layers.\1.layers.\2.in_proj."),
    (r"^quantizers\.(\d+)\.up_projs\.(\d+)\.", r"quantizer.layers.\1.layers.\2.out_proj."),
)
BESIDE = ("relative_position_index", "ft.window")  # what follows from the configuration


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors' class under our names."""
    result = {renamed_by(NAMES, name): value for name, value in state.items() if not name.endswith(BESIDE) and name != "ift.window"}
    # their linear layers are convolutions of one tap here
    return {name: value[..., None] if "quantizer.layers" in name and "_proj" in name else value for name, value in result.items()}


def load(spec: Spec, path: Path | None = None) -> Esc:
    """The codec of a variant, with the weights of the file at `path`, or drawn from the seed that the spec names."""
    return made(spec, KINDS[spec.variant.split("-")[0]], path)


def made(spec: Spec, config: Config, path: Path | None) -> Esc:
    """A codec of any size."""
    return filled_or_drawn(Esc(spec, config), spec, path, renamed, draw)


def draw(model: Esc, seed: int) -> None:
    """Random weights, with the codebooks around what reaches them of noise: otherwise every frame would get the same few codes."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    loudness = torch.rand(1, 1, 60, generator=generator).repeat_interleave(HOP, dim=-1)
    model.quantizer.scatter(model.maps(loudness * torch.randn(loudness.shape, generator=generator)), generator)


def released(name: str, drive: str) -> Checkpoint:
    """A file of the authors' drive; its sha256 is published nowhere that could be found: it is read from --weights PATH only."""
    return Checkpoint(f"{name}.pth", "", f"https://drive.google.com/file/d/{drive}/view")


CHECKPOINTS = {
    "base": released("esc_base", "1OF1ab3az6nKOY8owSUhUH0ksYHFmR1bc"),
    "adv": released("esc_base_adv", "1_g1dFYhY7qXKWkcq8_Q6I-kv8tQW_SF7"),
    "large": released("esc_large", "180Q4zctqeNnDmRvoMsVQ-3iCB5FriJbN"),
}


def variant(kind: str, levels: int) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = KINDS[kind], CHECKPOINTS.get(kind)
    spec = Spec(
        name="esc",
        variant=f"{kind}-{1.5 * levels:g}kbps" if checkpoint else kind,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / HOP),) * (PARTS * levels),
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2404.19441, https://github.com/yzGuu830/efficient-speech-codec",
        licence="MIT" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


ALL = [variant(kind, levels) for kind in CHECKPOINTS for levels in (6, 5, 4, 3, 2, 1)]
VARIANTS = {one.spec.variant: one for one in [*ALL, variant("tiny", 3)]}
