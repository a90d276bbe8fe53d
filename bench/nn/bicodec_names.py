"""The file of BiCodec's authors, and that of its speech encoder, under the names of tokenizers/bicodec.py.

Strict: a tensor that is not known keeps its name, and the model refuses it.
"""

from __future__ import annotations

from torch import Tensor

from bench.nn import dac_names, hubert_names
from bench.weights.files import fold_weight_norm, renamed_by

UNUSED = (  # for training alone
    "postnet.",
    "mel_transformer.",
    "quantizer.cluster_size",
    *(f"speaker_encoder.speaker_encoder.{part}." for part in ("pool", "bn", "linear", "bn2")),
)
ECAPA = r"^speaker_encoder\.speaker_encoder\."
SAMPLER = r"^speaker_encoder\.perceiver_sampler\."
NAMES = (  # pattern in the authors' file -> here, the waveform decoder's (dac_names) apart
    (r"^encoder\.encoder\.", "encoder.backbone."),
    (r"^encoder\.downsample\.(\d)\.1\.", r"encoder.refine.\1."),
    (r"^prenet\.downsample\.(\d)\.1\.", r"decoder.refine.\1."),
    (r"^prenet\.linear_pre\.", "decoder.narrow."),
    (r"^prenet\.linear\.", "decoder.widen."),
    (r"^prenet\.vocos_backbone\.", "decoder."),
    (r"^(encoder\.(?:backbone|refine\.\d)|decoder\.refine\.\d|decoder)\.norm\.", r"\1.stack.norm1."),
    (r"\.final_layer_norm\.", ".stack.norm2."),
    (r"\.convnext\.", ".stack.layers."),
    (r"\.dwconv\.", ".depthwise."),
    (r"\.pwconv(\d)\.", r".linear\1."),
    (r"\.gamma$", ".scale"),
    (r"^quantizer\.(in|out)_project\.", r"quantizer.layers.0.\1_proj."),
    (r"^quantizer\.codebook\.", "quantizer.layers.0.codebook."),
    (ECAPA + r"layer1\.", "speaker.ecapa.first."),
    (ECAPA + r"conv\.", "speaker.ecapa.join."),
    (ECAPA + r"layer2\.se_res2block\.", "speaker.ecapa.blocks.0."),
    (ECAPA + r"layer3\.se_res2block\.", "speaker.ecapa.blocks.1."),
    (ECAPA + r"layer4\.se_res2block\.", "speaker.ecapa.blocks.2."),
    (r"^(speaker\.ecapa\.blocks\.\d)\.0\.", r"\1.first."),
    (r"^(speaker\.ecapa\.blocks\.\d)\.1\.convs\.(\d)\.", r"\1.scales.\2.conv."),
    (r"^(speaker\.ecapa\.blocks\.\d)\.1\.bns\.(\d)\.", r"\1.scales.\2.norm."),
    (r"^(speaker\.ecapa\.blocks\.\d)\.2\.", r"\1.last."),
    (r"^(speaker\.ecapa\.blocks\.\d)\.3\.linear1\.", r"\1.squeeze."),
    (r"^(speaker\.ecapa\.blocks\.\d)\.3\.linear2\.", r"\1.excite."),
    (r"^(speaker\.ecapa\..*)\.bn\.", r"\1.norm."),
    (SAMPLER + r"proj_context\.", "speaker.resampler.project."),
    (SAMPLER + "latents$", "speaker.resampler.vectors"),
    (SAMPLER + r"norm\.scale$", "speaker.resampler.scale"),
    (SAMPLER + r"layers\.(\d)\.0\.to_q\.", r"speaker.resampler.attentions.\1.query."),
    (SAMPLER + r"layers\.(\d)\.0\.to_kv\.", r"speaker.resampler.attentions.\1.key_value."),
    (SAMPLER + r"layers\.(\d)\.0\.to_out\.", r"speaker.resampler.attentions.\1.out."),
    (SAMPLER + r"layers\.(\d)\.1\.0\.", r"speaker.resampler.feedforwards.\1.linear1."),
    (SAMPLER + r"layers\.(\d)\.1\.2\.", r"speaker.resampler.feedforwards.\1.linear2."),
    (r"^speaker_encoder\.quantizer\.project_in\.", "speaker.quantizer.input_proj."),
    (r"^speaker_encoder\.quantizer\.project_out\.", "speaker.quantizer.output_proj."),
    (r"^speaker_encoder\.project\.", "speaker.project."),
)


def renamed(state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """A file of both parts, the authors' and, behind "wav2vec2.", transformers' wav2vec 2.0, under our names, weight norm
    folded. `layers`: of wav2vec 2.0 that are made use of.
    """
    state = {name: value for name, value in fold_weight_norm(state).items() if not name.startswith(UNUSED)}
    speech = {name: state.pop(name) for name in list(state) if name.startswith("wav2vec2.")}
    waveform = {name: state.pop(name) for name in list(state) if name.startswith("decoder.model.")}
    result = {f"encoder.speech.{name}": value for name, value in hubert_names.renamed(speech, layers, pre_norm=True).items()}
    named = dac_names.renamed(waveform, 4).items()
    result |= {f"decoder.waveform.{name.removeprefix('decoder.')}": value for name, value in named}
    for theirs, value in state.items():
        name = renamed_by(NAMES, theirs)
        result[name] = value[..., None] if name.startswith("speaker.quantizer.") and value.ndim == 2 else value
    return result
