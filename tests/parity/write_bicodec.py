"""The writer of bicodec.json: what the authors' BiCodec makes of the recipe's weights and sounds.

    git clone https://github.com/SparkAudio/Spark-TTS
    git -C Spark-TTS checkout 2f1ea9082400547642241f5271b6f941c9f439d1
    PYTHONPATH=. python tests/parity/write_bicodec.py Spark-TTS

It needs torch, transformers, einops, soxr and soundfile beside that checkout. Torchaudio, omegaconf and einx may be missing: mel spectra
are torch.stft's by transformers' filters here, and of einx the one look-up is used that the authors' quantizer makes.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import types
import warnings
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from bench.tokenizers.bicodec import HOP, RATE, Config
from tests.parity.bicodec_recipe import CASES, LOUD, SMALL, STORED, Around, weights
from tests.parity.wavtokenizer_recipe import Shapes, heard, sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "2f1ea9082400547642241f5271b6f941c9f439d1"  # of the authors' repository
REFERENCE = 96_000  # samples
UNUSED = (
    "postnet.",
    "speaker_encoder.speaker_encoder.pool.",
    "speaker_encoder.speaker_encoder.bn.",
    "speaker_encoder.speaker_encoder.linear.",
)


class Mel(nn.Module):
    """In place of torchaudio's MelSpectrogram."""

    def __init__(self, rate: int, fft: int, window: int, hop: int, low: float, high: float | None, n_mels: int, **fixed: object):
        super().__init__()
        assert fixed == {"power": 1, "norm": "slaney", "mel_scale": "slaney"}
        audio: Any = importlib.import_module("transformers.audio_utils")
        bank = audio.mel_filter_bank(fft // 2 + 1, n_mels, low, high or rate / 2, rate, norm="slaney", mel_scale="slaney")
        self.bank, self.fft, self.window, self.hop = torch.from_numpy(bank).float(), fft, window, hop

    def forward(self, wav: Tensor) -> Tensor:
        spectrum = torch.stft(wav, self.fft, self.hop, self.window, torch.hann_window(self.window), return_complex=True).abs()
        return (spectrum.transpose(-1, -2) @ self.bank).transpose(-1, -2)


def stand_ins() -> dict[str, types.ModuleType]:
    """Modules that the authors' code imports, as far as it uses them here."""
    audio, transforms, conf, einx = (types.ModuleType(name) for name in ("torchaudio", "torchaudio.transforms", "omegaconf", "einx"))
    transforms.__dict__.update(MelSpectrogram=Mel)
    audio.__dict__.update(transforms=transforms)
    conf.__dict__.update(OmegaConf=None, DictConfig=None)

    def get_at(pattern: str, books: Tensor, indices: Tensor) -> Tensor:
        assert pattern == "q [c] d, b n q -> q b n d" and len(books) == 1
        return books[0][indices[..., 0]][None]

    einx.__dict__.update(get_at=get_at)
    return {module.__name__: module for module in (audio, transforms, conf, einx)}


class Official(nn.Module):
    """The authors' classes as their `audio_tokenizer.py` uses them, which wants files."""

    def __init__(self, checkout: Path, config: Config):
        super().__init__()
        self.averaged, shape, speaker = config.averaged, config.speech, config.speaker
        transformers: Any = importlib.import_module("transformers")  # before the stand-ins, which it would look at
        importlib.import_module("transformers.audio_utils")
        self.processor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
        with mock.patch.dict(sys.modules, stand_ins()), mock.patch.object(sys, "path", [str(checkout), *sys.path]):
            warnings.simplefilter("ignore", FutureWarning)  # weight_norm is old
            parts = {name: importlib.import_module(f"sparktts.{path}") for name, path in MODULES.items()}
            made: Any = types.SimpleNamespace(**parts)
            stack = {"vocos_dim": config.width, "vocos_intermediate_dim": config.hidden, "vocos_num_layers": config.layers}
            stack["out_channels"] = config.latents
            self.model = made.bicodec.BiCodec(
                mel_params={
                    "sample_rate": RATE,
                    "n_fft": 1024,
                    "win_length": 640,
                    "hop_length": HOP,
                    "mel_fmin": 10,
                    "mel_fmax": None,
                    "num_mels": speaker.mels,
                },
                encoder=made.encoder.Encoder(shape.dimension, **stack),
                decoder=made.wave.WaveGenerator(config.latents, config.filters, [8, 5, 4, 2], [16, 11, 8, 4]),
                quantizer=made.quantizer.FactorizedVectorQuantize(config.latents, config.size, 8, 0.25),
                speaker_encoder=made.speaker.SpeakerEncoder(
                    speaker.mels, config.latents, speaker.summary, speaker.vectors, list(speaker.steps), 1
                ),
                prenet=made.decoder.Decoder(config.latents, condition_dim=config.latents, **stack),
                postnet=made.decoder.Decoder(config.latents, **stack | {"vocos_num_layers": 2}),
            )
            self.levelled = made.audio.audio_volume_normalize
        self.speech = transformers.Wav2Vec2Model(
            transformers.Wav2Vec2Config(
                hidden_size=shape.dimension,
                num_hidden_layers=max(config.averaged) + 1,
                num_attention_heads=shape.heads,
                intermediate_size=shape.feedforward,
                conv_dim=(shape.channels,) * 7,
                conv_bias=True,
                feat_extract_norm="layer",
                do_stable_layer_norm=True,
                num_conv_pos_embeddings=shape.position_kernel,
                num_conv_pos_embedding_groups=shape.position_groups,
            )
        )

    def fill(self, state: dict[str, Tensor]) -> None:
        """Weights of a file."""
        mine = {name: value for name, value in state.items() if not name.startswith("wav2vec2.")}
        self.speech.load_state_dict({name.removeprefix("wav2vec2."): state[name] for name in state.keys() - mine.keys()}, strict=True)
        missing, unknown = self.model.load_state_dict(mine, strict=False)
        assert not unknown and all(name.startswith(UNUSED) for name in missing), (missing, unknown)

    def shapes(self) -> Shapes:
        """Of all that a file holds and that is used."""
        state = {f"wav2vec2.{name}": value for name, value in self.speech.state_dict().items()} | self.model.state_dict()
        return {name: list(value.shape) for name, value in sorted(state.items()) if not name.startswith(UNUSED)}

    def heard(self, wav: Tensor) -> dict[str, Tensor]:
        """wav [1, T] of one clip -> what their encoder is given."""
        clip = self.levelled(wav[0].double().numpy())
        values = self.processor(clip, sampling_rate=RATE, return_tensors="pt", padding=True).input_values
        values = torch.nn.functional.pad(values.float(), (0, max(0, 400 - len(clip))))  # their code refuses shorter ones
        states = self.speech(values, output_hidden_states=True).hidden_states
        reference = torch.from_numpy(clip).float()
        reference = reference.repeat(REFERENCE // len(clip) + 1) if REFERENCE > len(clip) else reference
        features = reduce(torch.add, [states[layer] for layer in self.averaged]) / len(self.averaged)
        return {"feat": features, "ref_wav": reference[None, :REFERENCE]}

    def encode(self, wavs: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """Clips [1, T] -> codes [B, F], side codes [B, 1, N], one by one."""
        codes, side = zip(*(self.model.tokenize(self.heard(wav)) for wav in wavs), strict=True)
        return torch.cat(codes), torch.cat(side)


MODULES = {
    "bicodec": "models.bicodec",
    "encoder": "modules.encoder_decoder.feat_encoder",
    "decoder": "modules.encoder_decoder.feat_decoder",
    "wave": "modules.encoder_decoder.wave_generator",
    "quantizer": "modules.vq.factorized_vector_quantize",
    "speaker": "modules.speaker.speaker_encoder",
    "audio": "utils.audio",
}


def clips(count: int, samples: int) -> list[Tensor]:
    """The clips [1, T] of a case, each of another loudness."""
    return [loud * wav for loud, wav in zip(LOUD, sound(count, samples, 0)[:, 0].split(1), strict=False)]


@torch.no_grad()
def book_facts(model: Official) -> Around:
    """Where the codebook belongs: the mean of a sound's projected latents, and how far codes lie from it, in each coordinate; rounded."""
    model.fill(weights(model.shapes(), None))
    (wav,) = clips(1, 48_000)
    (points,) = model.model.quantizer.in_project(model.model.encoder(model.heard(wav)["feat"].transpose(1, 2)))
    return rounded(points.mean(-1), 3), rounded(0.8 * points.std(-1), 3)


@torch.no_grad()
def measure(model: Official, count: int, samples: int) -> dict[str, Any]:
    """What the authors' code makes of some clips, one by one."""
    codes, side = model.encode(clips(count, samples))
    wav = model.model.detokenize(codes, side)
    return {
        "clips": count,
        "samples": samples,
        "codes": codes.tolist(),
        "side": side[:, 0].tolist(),
        "decoded": wav.shape[-1],
        "heard": [rounded(clip, 8) for clip in heard(wav)],
        "rms": rounded(wav.square().mean((1, 2)).sqrt(), 8),
    }


def main(checkout: Path) -> None:
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((checkout / "sparktts").rglob("*.py")))).hexdigest()
    record: dict[str, object] = {"commit": COMMIT, "sources": sources, "torch": torch.__version__}
    record["written by"] = "tests/parity/write_bicodec.py"
    model = Official(checkout, SMALL).eval()
    around = book_facts(model)
    model.fill(weights(model.shapes(), around))
    cases = [measure(model, count, samples) for count, samples in CASES]
    record |= {"shapes": model.shapes(), "around": around, "cases": cases}
    different = {code for case in cases for clip in case["codes"] for code in clip}
    sides = [len(set(clip)) for case in cases for clip in case["side"]]
    print(f"{len(different)} different codes, {sides} different side codes a clip, rms {[case['rms'] for case in cases]}")
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
