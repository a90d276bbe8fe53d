"""NeMo's own classes of an audio codec, out of nemo_toolkit 3.0.0, without what NeMo is made of besides: stand-ins take its place.

    pip install --no-deps nemo_toolkit==3.0.0

Two of its files are executed as they are. Stand-ins are its base classes, its types (which check shapes) and its logging.
"""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tarfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.tokenizers.nanocodec import MODULES, Config, released_configuration
from tests.parity.noise import swelling

FILES = ("collections/common/parts/utils.py", "collections/tts/modules/audio_codec_modules.py")


class Anything:
    """A name that is imported and not used here, or called for a type that nobody looks at."""

    def __init__(self, *arguments: object, **named: object):
        pass


def as_it_is(*arguments: object, **named: object) -> Callable[[Any], Any]:
    """typecheck(...): the function without checks."""
    return lambda function: function


def stand_ins() -> dict[str, types.ModuleType]:
    """By the names under which the two files import them."""
    names = {
        "nemo.collections.asr.modules": ("AudioToMelSpectrogramPreprocessor",),
        "nemo.collections.audio.parts.utils.transforms": ("MelSpectrogram", "Resample"),
        "nemo.core.neural_types.elements": (
            *("AudioSignal", "EncodedRepresentation", "LengthsType", "MelSpectrogramType", "TokenIndex", "VoidType"),
        ),
        "nemo.core.neural_types.neural_type": ("NeuralType",),
        "transformers": ("AutoFeatureExtractor", "AutoModel", "Wav2Vec2BertModel"),
    }
    modules = {name: types.ModuleType(name) for name in names}
    for name, members in names.items():
        for member in members:
            setattr(modules[name], member, Anything)
    for name, members in {
        "nemo.core.classes.common": {"typecheck": as_it_is},
        "nemo.core.classes.module": {"NeuralModule": nn.Module},
        "nemo.utils": {"logging": mock.MagicMock()},
    }.items():
        modules[name] = types.ModuleType(name)
        for member, value in members.items():
            setattr(modules[name], member, value)
    parents = {name.rpartition(".")[0] for name in modules if "." in name}
    return modules | {name: types.ModuleType(name) for name in parents if name not in modules}


def official() -> Any:
    """The module of NeMo's codec classes; skips where the package is missing."""
    found = importlib.util.find_spec("nemo")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the oracle is missing: pip install --no-deps nemo_toolkit==3.0.0")
    root, module = Path(found.submodule_search_locations[0]), None
    with mock.patch.dict(sys.modules, stand_ins()):
        for file in FILES:
            name = "nemo." + file.removesuffix(".py").replace("/", ".")
            spec = importlib.util.spec_from_file_location(name, root / file)
            assert spec and spec.loader
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
    return module


class Official(nn.Module):
    """The three parts of NeMo's AudioCodecModel under its names, used as its encode and decode use them."""

    def __init__(self, config: Config):
        super().__init__()
        classes, parts = official(), released_configuration(config)
        self.hop = config.waveform.hop
        for part in ("audio_encoder", "vector_quantizer", "audio_decoder"):
            numbers = dict(parts[part])
            setattr(self, part, getattr(classes, str(numbers.pop("_target_")).removeprefix(MODULES))(**numbers))

    def lengths(self, x: Tensor, size: int) -> Tensor:
        return torch.full((len(x),), size, device=x.device)

    def latents(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> [B, D, F] before quantization."""
        wav = F.pad(wav, (0, -wav.shape[-1] % self.hop))[:, 0]
        return self.get_submodule("audio_encoder")(audio=wav, audio_len=self.lengths(wav, wav.shape[-1]))[0]

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, K, F]."""
        latents = self.latents(wav)
        quantizer: Any = self.vector_quantizer
        return quantizer.encode(inputs=latents, input_len=self.lengths(wav, latents.shape[-1])).transpose(0, 1).long()

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, F] -> wav [B, 1, F * hop]."""
        lengths, quantizer = self.lengths(codes, codes.shape[-1]), self.get_submodule("vector_quantizer")
        assert isinstance(quantizer, nn.Module)
        latents = quantizer.decode(indices=codes.transpose(0, 1).int(), input_len=lengths)  # pyright: ignore[reportCallIssue]
        return self.get_submodule("audio_decoder")(inputs=latents, input_len=lengths)[0][:, None]


@torch.no_grad()
def alive(config: Config, seed: int) -> Official:
    """NeMo's codec with random weights under which codes vary and audio lies within full scale."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Official(config).eval()
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.add_(0.1 * torch.randn_like(value))
            elif name.endswith("alpha"):
                value.copy_(0.3 + torch.rand_like(value))
            elif name.endswith("original0"):  # of weight norm
                value.mul_(1 + 0.2 * torch.rand_like(value))
    latents = model.latents(swelling((1, 1, 40 * model.hop), seed + 100))
    last: Any = model.get_submodule("audio_encoder.post_conv.conv")
    mean, deviation = latents.mean((0, 2)), latents.std((0, 2))
    norms = last.parametrizations.weight.original0
    norms.div_(deviation.reshape(norms.shape))
    last.bias.sub_(mean).div_(deviation)
    codes = model.encode(swelling((1, 1, 20 * model.hop), seed + 101))
    end: Any = model.get_submodule("audio_decoder.post_conv.conv")
    quiet = 1e-3
    end.parametrizations.weight.original0.mul_(quiet)  # within the bounds, to see how loud it is
    end.bias.mul_(quiet)
    wav = model.decode(codes)
    end.bias.sub_(wav.mean()).mul_(0.2 / wav.std())
    end.parametrizations.weight.original0.mul_(0.2 / wav.std())
    return model


def packed(config: Config, state: dict[str, Tensor], path: Path, stated: dict[str, Any] | None = None) -> Path:
    """An archive as NeMo writes it: configuration and tensors, among them some of its training. JSON is YAML, too."""
    parts = released_configuration(config)
    text = json.dumps(parts.pop("") | parts | {"target": "nemo.collections.tts.models.audio_codec.AudioCodecModel"} | (stated or {}))
    weights = io.BytesIO()
    torch.save(state | {"discriminator.discriminators.0.conv.bias": torch.zeros(2), "mel_loss_fn.fb": torch.zeros(2)}, weights)
    with tarfile.open(path, "w") as archive:
        for name, content in (("./model_config.yaml", text.encode()), ("./model_weights.ckpt", weights.getvalue())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
