"""Lyra V2 (Google, github.com/google/lyra): a SoundStream (arxiv.org/abs/2107.03312) for calls, with its official weights.

wav [B, 1, T] at 16 kHz -> codes [B, K, ceil(T / 320)]: 50 frames per second, 16, 30 or 46 codebooks of 16 entries (3.2, 6, 9.2 kbps).
Causal, streaming. The weights are three TensorFlow Lite files: most layers are float32, those of the lowest frame rates 8-bit integers,
which are emulated here (bench.nn.int8). `...-litert` runs the same files by LiteRT, one clip and one frame at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, Codebook, Spec, UserError, Variant, sha256_of_all
from bench.nn.checks import require_codes, require_wav
from bench.nn.conv import Memory
from bench.nn.int8 import Grid
from bench.nn.quantize import ResidualQuantizer
from bench.nn.soundstream import Decoder, Encoder, Layer, Shape, Tape, drawn
from bench.nn.stream import FrameStream
from bench.weights import tflite_reader
from bench.weights.files import seed_of
from bench.weights.tflite_reader import TfliteOperator, TfliteTensor

RATE, HOP = 16_000, 320
REPOSITORY = "https://github.com/google/lyra"
SIZE = 16  # entries of a codebook
LEVELS = {"3.2kbps": 16, "6kbps": 30, "9.2kbps": 46}


class Lyra(nn.Module):
    """The codec."""

    def __init__(self, spec: Spec, shape: Shape, encoder: Tape, decoder: Tape):
        super().__init__()
        self.spec = spec
        self.encoder, self.decoder = Encoder(encoder, shape), Decoder(decoder, shape)
        levels = max(LEVELS.values()) if spec.trained else len(spec.codebooks)
        self.quantizer = ResidualQuantizer(levels, SIZE, shape.dimension, width=0)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, K, ceil(T / 320)]."""
        require_wav(wav)
        return _by_clips(self._encode, F.pad(wav, (0, -wav.shape[-1] % HOP)))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, n] -> wav [B, 1, n * 320]."""
        require_codes(codes, len(self.spec.codebooks))
        return _by_clips(self._decode, codes)

    def stream_encoder(self) -> FrameStream:
        """wav pieces [B, 1, n] -> codes [B, K, m]."""
        empty = torch.zeros(1, len(self.spec.codebooks), 0, dtype=torch.int64, device=self._device)
        return FrameStream(self._encode, HOP, empty)

    def stream_decoder(self) -> FrameStream:
        """codes [B, K, m] -> wav pieces [B, 1, m * 320]."""
        return FrameStream(self._decode, 1, torch.zeros(1, 1, 0, device=self._device))

    @property
    def _device(self) -> torch.device:
        return self.encoder.first.weight.device

    def _encode(self, wav: Tensor, memory: Memory | None = None) -> Tensor:
        return self.quantizer.encode(self.encoder(wav, memory), len(self.spec.codebooks))

    def _decode(self, codes: Tensor, memory: Memory | None = None) -> Tensor:
        return self.decoder(self.quantizer.decode(codes), memory)


def _by_clips(code: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """Clip by clip on a CPU, whose caches hold the layers of one clip of some seconds, but not of eight: a fifth of the time less."""
    clips = batch.split(1) if batch.device.type == "cpu" and len(batch) > 1 else (batch,)
    return torch.cat([code(clip) for clip in clips])


def layers(operators: list[TfliteOperator]) -> Iterator[Layer]:
    """The layers of a file's main graph; how it keeps the state of a stream and turns integers into floats is left out."""
    for operator in operators:
        computed = tuple(_grid(t) for t in operator.inputs if t is not None and t.data is None)
        stored = [t for t in operator.inputs if t is not None and t.data is not None]
        after = _grid(operator.outputs[0]) if operator.outputs else None
        if operator.kind in ("conv", "depthwise"):
            weight = _array(stored[0])[:, :, 0]  # [out, kernel, in], of a depth-wise one [1, kernel, out]
            weight = weight.permute(2, 0, 1) if operator.kind == "depthwise" else weight.transpose(1, 2)
            yield Layer(operator.kind, weight.contiguous(), _array(stored[1]), _steps(stored[0]), computed, after)
        elif operator.kind == "transposed":  # its first input is the output's shape
            weight = _array(stored[1])[:, :, 0].permute(2, 0, 1).contiguous()  # [out, kernel, in] -> [in, out, kernel]
            yield Layer(operator.kind, weight, _array(stored[2]), _steps(stored[1]), computed, after)
        elif operator.kind == "subtract":
            yield Layer(operator.kind, bias=_array(stored[0]))
        elif operator.kind in ("add", "leaky_relu"):
            yield Layer(operator.kind, before=computed, after=after)


def _array(tensor: TfliteTensor) -> Tensor:
    """What is stored, integers too, as float32."""
    return torch.tensor(tensor.data, dtype=torch.float32)


def _steps(weight: TfliteTensor) -> Tensor:
    return torch.tensor(weight.scale if weight.quantized else [1.0])


def _grid(tensor: TfliteTensor | None) -> Grid | None:
    return Grid(float(tensor.scale[0]), int(tensor.zero[0])) if tensor is not None and tensor.quantized else None


def codebooks(operators: list[TfliteOperator]) -> Tensor:
    """The quantizer's codebooks [46, 16, 64] from its decoding graph, where the table of level n is called transpose_n (0: transpose)."""
    tables = {t.name: t.values() for o in operators if o.kind == "gather" for t in o.inputs if t is not None and t.data is not None}
    return torch.tensor(np.stack([tables["transpose" + f"_{level}" * (level > 0)] for level in range(max(LEVELS.values()))]))


def load(spec: Spec, encoder: Path | None = None, quantizer: Path | None = None, decoder: Path | None = None) -> Lyra:
    """The model of a variant, with the weights of the three files, or drawn from the seed that the spec names."""
    if encoder is None or quantizer is None or decoder is None:
        return untrained(spec, seed_of(spec))
    try:
        model = Lyra(spec, Shape(), *(Tape(layers(tflite_reader.read(path)[0])) for path in (encoder, decoder)))
        tables = codebooks(tflite_reader.read(quantizer)[0])
        for codebook, table in zip(model.quantizer.codebooks(), tables, strict=True):
            codebook.load_state_dict({"initialized": torch.ones(1), "cluster_usage": torch.ones(SIZE), "embedding_sum": table})
    except (ValueError, IndexError, KeyError, RuntimeError) as error:
        raise UserError(
            f"{encoder}, {quantizer}, {decoder} are not the three files of Lyra ({error}): get those of {REPOSITORY}"
        ) from error
    return model.eval()


@torch.no_grad()
def untrained(spec: Spec, seed: int) -> Lyra:
    """A small codec of the same structure with random weights."""
    generator, shape = torch.Generator().manual_seed(seed), Shape((4, 8, 16, 32), dimension=4, group=4)
    model = Lyra(spec, shape, *drawn(shape, generator))
    model.quantizer.scatter(model.encoder(torch.randn(1, 1, 100 * HOP, generator=generator) / 3), generator)
    return model.eval()


class LyraByLiteRT:
    """The three files run by LiteRT, as Google's own program runs them: frame by frame, each clip with a state of its own."""

    def __init__(self, spec: Spec, encoder: Path, quantizer: Path, decoder: Path):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise UserError(
                f"{spec.label} needs LiteRT: pip install 'audio-tokenizer-bench[lyra]', or take lyra without -litert"
            ) from error
        self.spec = spec
        self._start = {
            "encoder": partial(Interpreter, str(encoder), num_threads=1),
            "decoder": partial(Interpreter, str(decoder), num_threads=1),
        }
        quantize = Interpreter(str(quantizer), num_threads=1)
        self._encode_frame, self._decode_frame = map(quantize.get_signature_runner, ("encode", "decode"))

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, K, ceil(T / 320)]."""
        padded = F.pad(wav, (0, -wav.shape[-1] % HOP))[:, 0].numpy()
        return torch.stack([self._codes(clip.reshape(-1, 1, HOP)) for clip in padded])

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, n] -> wav [B, 1, n * 320]."""
        sent = F.pad(codes, (0, 0, 0, max(LEVELS.values()) - codes.shape[1]), value=-1)  # -1: a code that is not sent
        return torch.stack([self._wav(clip) for clip in sent.to(torch.int32).numpy()])[:, None]

    def _codes(self, frames: np.ndarray) -> Tensor:
        """Frames [n, 1, 320] -> [K, n]."""
        levels, found = len(self.spec.codebooks), []
        for features in self._through("encoder", frames):
            indices = self._encode_frame(input_frames=features, num_quantizers=np.int32(levels))
            found.append(next(value for value in indices.values() if value.size > 1).ravel()[:levels])
        return torch.tensor(np.stack(found, axis=-1), dtype=torch.int64)

    def _wav(self, codes: np.ndarray) -> Tensor:
        """Codes [46, n] -> [n * 320]."""
        frames = [self._decode_frame(encoding_indices=frame.reshape(-1, 1, 1))["output_0"] for frame in codes.T]
        return torch.tensor(np.concatenate([wav.ravel() for wav in self._through("decoder", frames)]))

    def _through(self, side: str, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The output of each frame, by a network that has heard nothing yet."""
        network = self._start[side]()
        network.allocate_tensors()
        (taken,), (given,) = network.get_input_details(), network.get_output_details()
        for frame in frames:
            network.set_tensor(taken["index"], np.ascontiguousarray(frame, dtype=np.float32))
            network.invoke()
            yield network.get_tensor(given["index"]).copy()


CURE = "and the two others of lyra/model_coeffs beside it; lyra@tiny needs no download, but is untrained"
COMMIT = "47698dadf0010abff6a848e02642f55f806d4842"
ENCODER, QUANTIZER, DECODER = (
    Checkpoint(f"lyra_{name}.tflite", sha256, f"{REPOSITORY}/raw/{COMMIT}/lyra/model_coeffs/{name}.tflite", CURE)
    for name, sha256 in (
        ("soundstream_encoder", "237da0b16226fb0a68d49551c81bebf614e42142af72764448359f68581e88f1"),
        ("quantizer", "841ee05989687d32d1f616a8ad1419fc7eda37599d3c05c7cf5a0d60ccf8ac5c"),
        ("lyragan", "50e7839cda4f30599a3a34cfaddcd9c98449b049eee884e1a74295780448ad06"),
    )
)


def variant(name: str, levels: int, official: bool = True, by_litert: bool = False) -> Variant:
    """A line of VARIANTS: the first `levels` codebooks."""
    spec = Spec(
        name="lyra",
        variant=name,
        sample_rate=RATE,
        codebooks=(Codebook(SIZE, RATE / HOP),) * levels,
        weights=sha256_of_all(ENCODER, QUANTIZER, DECODER) if official else "seed:0",
        causal=True,
        source=f"https://arxiv.org/abs/2107.03312, {REPOSITORY}",
        licence="Apache-2.0" if official else "",
    )
    if not official:
        return Variant(spec, load)
    return Variant(spec, LyraByLiteRT if by_litert else load, ENCODER, beside=(QUANTIZER, DECODER))


VARIANTS = {
    **{name: variant(name, levels) for name, levels in sorted(LEVELS.items(), key=lambda item: item[0] != "6kbps")},
    **{f"{name}-litert": variant(f"{name}-litert", levels, by_litert=True) for name, levels in LEVELS.items()},
    "tiny": variant("tiny", 6, official=False),
}
