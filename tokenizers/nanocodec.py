"""NanoCodec of NVIDIA's NeMo (Casanova et al. 2025, arxiv.org/abs/2508.05835): grouped finite scalar codes at a low frame rate.

wav [B, 1, T] at 22.05 kHz -> codes [B, K, ceil(T / hop)] -> wav [B, 1, F * hop], at 12.5 or 21.5 frames per second. A frame has 4 codes of
4,032, or 8 or 13 of 2,016; each stands for four numbers. T is filled up with zeros to whole frames. The encoder hears the whole clip; the
decoder is causal, and `stream_decoder` gives its audio as codes come. Weights are NeMo's archives (.nemo), whose configuration must be the
variant's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.api import Checkpoint, Codebook, Spec, UserError, Variant, sha256_of_all
from bench.nn.conv import Memory
from bench.nn.finite_scalar import GroupedScalarQuantizer
from bench.nn.half_snake import Decoder, Encoder, HalfSnakeGan
from bench.nn.latent_codec import LatentCodec
from bench.nn.random_weights import SCALE, loud_and_quiet
from bench.nn.stream import FrameStream
from bench.weights import nemo_reader
from bench.weights.files import fill, fold_weight_norm, renamed_by, seed_of, seeded

RATE = 22_050


@dataclass(frozen=True)
class Config:
    """All numbers of a NanoCodec."""

    waveform: HalfSnakeGan
    groups: int
    steps: tuple[int, ...]  # of each number of a group

    @property
    def size(self) -> int:
        """Values of a code."""
        return math.prod(self.steps)

    def model(self, spec: Spec) -> NanoCodec:
        """A codec without weights."""
        quantizer = GroupedScalarQuantizer(self.groups, self.steps)
        return NanoCodec(spec, Encoder(self.waveform), quantizer, Decoder(self.waveform), self.waveform.hop, whole=True)


CONFIGS = {
    "0.6kbps": Config(HalfSnakeGan(), groups=4, steps=(9, 8, 8, 7)),
    "1.78kbps": Config(HalfSnakeGan(dimension=52), groups=13, steps=(8, 7, 6, 6)),
    "1.89kbps": Config(HalfSnakeGan(rates=(8, 8, 4, 2, 2), dimension=32), groups=8, steps=(8, 7, 6, 6)),
    "tiny": Config(HalfSnakeGan(rates=(7, 6, 3), dimension=6, encoder_width=6, decoder_width=56), groups=2, steps=(4, 3, 5)),
}


class NanoCodec(LatentCodec[GroupedScalarQuantizer]):
    """The codec."""

    decoder: Decoder

    def stream_decoder(self) -> FrameStream:
        """codes [B, K, m] -> wav pieces [B, 1, m * hop]."""
        return FrameStream(self._decode_next, 1, torch.zeros(1, 1, 0, device=self.decoder.first.weight.device))

    def _decode_next(self, codes: Tensor, memory: Memory) -> Tensor:
        return self.decoder(self.quantizer.decode(codes), memory)


MODULES = "nemo.collections.tts.modules.audio_codec_modules."
DEFAULTS = {  # of NeMo's classes, where a configuration says nothing
    "in_kernel_size": 7,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [1, 3, 5],
    "n_groups_equal_to_out_channels": True,
    "output_sample_rate": RATE,
    "eps": 1e-3,
}
NAMES = (  # pattern in the archive's names -> here
    (r"^audio_(encoder|decoder)\.", r"\1."),
    (r"\.(pre|post)_conv\.conv\.", r".\1_conv."),
    (r"\.pre_conv\.", ".first."),
    (r"^encoder\.post_conv\.", "encoder.last."),
    (r"^encoder\.down_sample_conv_layers\.(\d+)\.conv\.", r"encoder.changes.\1."),
    (r"^encoder\.res_layers\.", "encoder.means."),
    (r"^decoder\.post_conv\.", "decoder.end.last."),
    (r"^decoder\.post_activation\.", "decoder.end.activation."),
    (r"^decoder\.activations\.(\d+)\.", r"decoder.stages.\1.activation."),
    (r"^decoder\.up_sample_conv_layers\.(\d+)\.conv\.", r"decoder.stages.\1.change."),
    (r"^decoder\.res_layers\.(\d+)\.", r"decoder.stages.\1.mean."),
    (r"\.res_blocks\.(\d+)\.res_blocks\.(\d+)\.", r".blocks.\1.\2."),
    (r"\.input_activation\.", ".outer."),
    (r"\.skip_activation\.", ".inner."),
    (r"\.input_conv\.conv\.", ".first."),
    (r"\.skip_conv\.conv\.", ".second."),
    (r"\.activation\.snake_act\.alpha$", ".alpha"),
)
STATED = re.compile(r"vector_quantizer\.fsqs\.\d+\.(num_levels|dim_base_index)")  # by the configuration, too
TRAINING = re.compile(r"(discriminator|slm_encoder|slm_predictor|speaker_encoder|\w+_loss_fn)\.")  # not of the codec


def released_configuration(config: Config) -> dict[str, dict[str, object]]:
    """What the archive's configuration says of a codec, by its part; "" for what stands outside of the parts."""
    shape = config.waveform
    encoder = {"_target_": f"{MODULES}HiFiGANEncoder", "down_sample_rates": [*reversed(shape.rates)], "encoded_dim": shape.dimension}
    decoder = {"_target_": f"{MODULES}CausalHiFiGANDecoder", "up_sample_rates": [*shape.rates], "input_dim": shape.dimension}
    blocks: dict[str, object] = {"resblock_kernel_sizes": [*shape.kernels], "resblock_dilation_sizes": [*shape.dilations]}
    ends = {"activation": "half_snake", "output_activation": "clamp", "pad_mode": "zeros", "n_groups_equal_to_out_channels": True}
    return {
        "": {"sample_rate": RATE, "output_sample_rate": RATE, "samples_per_frame": shape.hop},
        "audio_encoder": encoder | blocks | {"base_channels": shape.encoder_width, "activation": "lrelu", "pad_mode": "replicate"},
        "audio_decoder": decoder | blocks | {"base_channels": shape.decoder_width} | ends,
        "vector_quantizer": {
            "_target_": f"{MODULES}GroupFiniteScalarQuantizer",
            "num_groups": config.groups,
            "num_levels_per_group": [*config.steps],
            "eps": 1e-3,
        },
    }


def check(configuration: dict[str, object], config: Config, path: Path) -> None:
    """UserError where the archive is another codec's."""
    parts = released_configuration(config)
    lines = [
        f"{part}{'.' * bool(part)}{line}"
        for part, expected in parts.items()
        for line in nemo_reader.different(configuration.get(part) if part else configuration, expected, DEFAULTS)
    ]
    if lines:
        raise UserError(f"{path} does not fit this configuration: {'; '.join(lines)[:300]}")


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """An archive's tensors under our names, weight norm folded, without those of training and those that the configuration states."""
    kept = {name: value for name, value in state.items() if not TRAINING.match(name) and not STATED.fullmatch(name)}
    result = {renamed_by(NAMES, name): value for name, value in fold_weight_norm(kept).items()}
    return {name: value.flatten() if name.endswith(".alpha") else value for name, value in result.items()}


def load(spec: Spec, path: Path | None = None) -> NanoCodec:
    """The model of a variant, with the weights of the archive at `path`, or drawn from the seed that the spec names."""
    config = CONFIGS[spec.variant]
    model = config.model(spec)
    if path is None:
        draw(model, torch.Generator().manual_seed(seed_of(spec)))
    else:
        configuration, state = nemo_reader.read(path)
        check(configuration, config, path)
        fill(model, renamed(state), path)
    return model.eval()


@torch.no_grad()
def draw(model: NanoCodec, generator: torch.Generator) -> None:
    """Random weights, with latents of noise around zero, as far from it as their steps are wide, and quiet audio without offset."""
    seeded(model, generator)
    latents = model.latents(loud_and_quiet(model.hop, generator))
    last, end = model.encoder.get_submodule("last"), model.decoder.end.last
    assert isinstance(last, nn.Conv1d) and last.bias is not None and end.bias is not None
    mean, deviation = latents.mean((0, 2)), latents.std((0, 2))
    last.weight.div_(deviation[:, None, None])
    last.bias.sub_(mean).div_(deviation)
    wav = model.decoder.unbounded((latents - mean[:, None]) / deviation[:, None])
    end.weight.mul_(SCALE / wav.std())
    end.bias.sub_(wav.mean()).mul_(SCALE / wav.std())


def released(name: str, rate: str, revision: str, sha256: str) -> Checkpoint:
    """An archive of NVIDIA's on the hub."""
    stem = f"nemo-nano-codec-22khz-{name}-{rate}"
    return Checkpoint(f"{stem}.nemo", sha256, f"https://huggingface.co/nvidia/{stem}/resolve/{revision}/{stem}.nemo")


CHECKPOINTS = {
    "0.6kbps": released(
        *("0.6kbps", "12.5fps", "5c8e22ed763c14d81337fbe6ca74062f3d10f7e5"),
        "bd5883099d0c74ceda760b6b7a1600b86da4d8a02531c9c282679951dcb08870",
    ),
    # no digest of it is published that could be found: it is read from --weights PATH only
    "1.78kbps": released("1.78kbps", "12.5fps", "c4ab84a92c8d36a8b5a79eaea807cfaf7f03ed86", ""),
    "1.89kbps": released(
        *("1.89kbps", "21.5fps", "fc00890b604aa2de298d2641ffc6c5f6caf8c4d7"),
        "28c2518de3e3d5a2c7d9bca40a7ebc0644eb76c60b890970365325bdd8e9f099",
    ),
}


def variant(name: str) -> Variant:
    """A line of VARIANTS."""
    config, checkpoint = CONFIGS[name], CHECKPOINTS.get(name)
    spec = Spec(
        name="nanocodec",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(config.size, RATE / config.waveform.hop, levels=config.steps),) * config.groups,
        weights=sha256_of_all(checkpoint) if checkpoint else "seed:0",
        source="https://arxiv.org/abs/2508.05835, https://huggingface.co/nvidia/nemo-nano-codec-22khz-0.6kbps-12.5fps",
        licence="NVIDIA-Open-Model-License" if checkpoint else "",
    )
    return Variant(spec, load, checkpoint)


VARIANTS = {name: variant(name) for name in CONFIGS}
