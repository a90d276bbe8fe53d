"""A codec of one finite scalar code per frame, from a waveform encoder and w2v-BERT 2.0 side by side: X-codec2's form, and NeuCodec's.

wav [B, 1, T] at 16 kHz -> filled up with 1 to 320 zeros to whole frames -> both encoders -> mixed -> codes [B, 1, F] -> a transformer with
an inverse STFT -> wav [B, 1, F * step]. Not causal. Names of both released forms are read: the authors' and transformers' port.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Spec
from bench.nn import dac_names, w2v_bert_names
from bench.nn.anti_aliased import anti_aliased_snake, low_pass
from bench.nn.finite_scalar import SHIFTED_TWICE, FiniteScalarQuantizer
from bench.nn.latent_codec import LatentCodec
from bench.nn.onednn import linear
from bench.nn.random_weights import spread
from bench.nn.snake import SnakeNet
from bench.nn.transformer_vocos import TransformerVocos
from bench.nn.w2v_bert import W2vBert, W2vBertShape
from bench.weights.files import fold_weight_norm, renamed_by, seeded


@dataclass(frozen=True)
class SemanticSnake:
    """The codec as data."""

    acoustic: SnakeNet = SnakeNet((2, 2, 4, 4, 5), filters=48, activation=anti_aliased_snake)
    semantic: W2vBertShape = W2vBertShape()
    semantic_layers: int = 16
    margin: int = 160  # zeros on both sides of what w2v-BERT hears: with them its frames are as many as the other encoder's
    steps: tuple[int, ...] = (4,) * 8
    vocos: TransformerVocos = TransformerVocos()

    @property
    def codes(self) -> int:
        """Values that a code has."""
        return math.prod(self.steps)

    def model(self, spec: Spec) -> LatentCodec[FiniteScalarQuantizer]:
        """The codec without weights."""
        quantizer = FiniteScalarQuantizer(self.steps, self.vocos.dimension, SHIFTED_TWICE)
        return LatentCodec(spec, Encoder(self), quantizer, self.vocos.decoder(), self.vocos.step, whole=False)


TINY = SemanticSnake(
    SnakeNet((2, 2, 4, 4, 5), filters=2, dimension=16, activation=anti_aliased_snake),
    W2vBertShape(dimension=16, heads=2, feedforward=32, mels=20, kernel=5, before=8, after=2),
    semantic_layers=2,
    steps=(4,) * 3,
    vocos=TransformerVocos(dimension=32, width=32, heads=2, feedforward=64, layers=2, groups=4),
)


def drawn(model: LatentCodec[FiniteScalarQuantizer], seed: int) -> None:
    """Random weights under which codes vary."""
    generator = torch.Generator().manual_seed(seed)
    seeded(model, generator)
    spread(model, generator)


class Adapter(nn.Module):
    """Convolutions of three taps over semantic features, the middle two beside a skip: [B, D, F] -> the same."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.conv4 = (nn.Conv1d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.conv2, self.conv3 = (nn.Conv1d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        return self.conv4(x + self.conv3(F.relu(self.conv2(x))))


class Encoder(nn.Module):
    """wav [B, 1, T] -> latents [B, D, F]."""

    def __init__(self, config: SemanticSnake):
        super().__init__()
        self.hop, self.margin = config.acoustic.hop, config.margin
        self.acoustic = config.acoustic.encoder()
        self.semantic, self.adapter = W2vBert(config.semantic, config.semantic_layers), Adapter(config.semantic.dimension)
        self.mix = nn.Linear(config.vocos.dimension, config.vocos.dimension)

    def forward(self, wav: Tensor) -> Tensor:
        wav = F.pad(wav, (0, self.hop - wav.shape[-1] % self.hop))  # a whole frame where it is whole already
        meant = self.adapter(self.semantic(F.pad(wav, (self.margin, self.margin))).transpose(1, 2))
        heard = self.acoustic(wav)[..., : meant.shape[-1]]
        return linear(self.mix, torch.cat([meant, heard], dim=1).transpose(1, 2)).transpose(1, 2)


AUTHORS = (  # pattern in a checkpoint of the authors' code -> in transformers' port
    (r"^semantic_model\.", "semantic_encoder."),
    (r"^SemanticEncoder_module\.initial_conv\.", "semantic_adapter.conv1."),
    (r"^SemanticEncoder_module\.residual_blocks\.1\.", "semantic_adapter.conv2."),
    (r"^SemanticEncoder_module\.residual_blocks\.3\.", "semantic_adapter.conv3."),
    (r"^SemanticEncoder_module\.final_conv\.", "semantic_adapter.conv4."),
    (r"^fc_prior\.", "fc_encoder."),
    (r"^fc_post_a\.", "acoustic_decoder.fc."),
    (r"^generator\.quantizer\.", "quantizer."),
    (r"^generator\.backbone\.final_layer_norm\.", "acoustic_decoder.norm."),
    (r"^generator\.backbone\.transformers\.(\d+)\.att_norm\.", r"acoustic_decoder.layers.\1.input_layernorm."),
    (r"^generator\.backbone\.transformers\.(\d+)\.ffn_norm\.", r"acoustic_decoder.layers.\1.post_attention_layernorm."),
    (r"^generator\.backbone\.transformers\.(\d+)\.att\.c_attn\.", r"acoustic_decoder.layers.\1.in_proj."),
    (r"^generator\.backbone\.transformers\.(\d+)\.att\.c_proj\.", r"acoustic_decoder.layers.\1.self_attn.o_proj."),
    (r"^generator\.backbone\.transformers\.", "acoustic_decoder.layers."),
    (r"^generator\.backbone\.", "acoustic_decoder."),
    (r"^generator\.head\.out\.", "acoustic_decoder.head.linear."),
    (r"^CodecEnc\.conv_blocks\.", "acoustic_encoder.block."),
    (r"^acoustic_encoder(.*)\.act\.bias$", r"acoustic_encoder\1.act.beta"),
    (r"\.upsample\.filter$", ".up"),
    (r"\.downsample\.lowpass\.filter$", ".down"),
)
NAMES = (  # pattern in transformers' port -> here
    (r"^semantic_adapter\.", "encoder.adapter."),
    (r"^fc_encoder\.", "encoder.mix."),
    (r"^quantizer\.project_in\.", "quantizer.input_proj."),
    (r"^quantizer\.project_out\.", "quantizer.output_proj."),
    (r"^acoustic_decoder\.fc\.", "decoder.mix."),
    (r"^acoustic_decoder\.prior_net\.", "decoder.before."),
    (r"^acoustic_decoder\.post_net\.", "decoder.after."),
    (r"^acoustic_decoder\.", "decoder."),
    (r"^(decoder\.layers\.\d+)\.input_layernorm\.", r"\1.norm1."),
    (r"^(decoder\.layers\.\d+)\.post_attention_layernorm\.", r"\1.norm2."),
    (r"^(decoder\.layers\.\d+)\.self_attn\.o_proj\.", r"\1.out_proj."),
    (r"^(decoder\.layers\.\d+)\.mlp\.fc([12])\.", r"\1.linear\2."),
)
UNUSED = ("fc_post_s.", "SemanticDecoder", "generator.head.istft.window")  # of training; the last is computed


def renamed(state: dict[str, Tensor], config: SemanticSnake) -> dict[str, Tensor]:
    """A state dict of the authors' class or of transformers' under our names, weight norm folded, without what training alone needs."""
    stages = len(config.acoustic.rates)
    final = [(rf"^CodecEnc\.conv_final_block\.{i}\.", f"acoustic_encoder.block.{stages + 1 + i}.") for i in range(2)]
    named = {renamed_by((*final, *AUTHORS), k): v for k, v in fold_weight_norm(state).items() if not k.startswith(UNUSED)}
    parts = [{k.removeprefix(part): named.pop(k) for k in list(named) if k.startswith(part)} for part in ("semantic_encoder.", "acoustic_")]
    result = {f"encoder.semantic.{k}": v for k, v in w2v_bert_names.renamed(parts[0], config.semantic_layers).items()}
    acoustic = {k: parts[1].pop(k) for k in list(parts[1]) if k.startswith("encoder.")}
    for name, value in dac_names.renamed(acoustic, stages).items():
        name = name.replace("encoder.", "encoder.acoustic.", 1)
        result[name] = value
        if name.endswith(".act.alpha"):  # transformers computes its filters
            for side in ("up", "down"):
                result.setdefault(name.replace("act.alpha", side), low_pass())
    for name, value in [*named.items(), *((f"acoustic_{k}", v) for k, v in parts[1].items())]:
        name = renamed_by(NAMES, name)
        result[name] = value[..., None] if re.match(r"quantizer\.(in|out)put_proj\.weight$", name) else value
    for name in [name for name in result if name.endswith(".self_attn.q_proj.weight")]:
        query, key, value = (result.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv")
        result[name.replace("self_attn.q_proj", "in_proj")] = torch.cat([query, key, value])
    return result
