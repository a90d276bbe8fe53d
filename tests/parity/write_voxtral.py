"""The writer of voxtral.json: what the codec of vllm-omni 0.30.0 makes of the recipe's weights and sounds.

    pip download --no-deps vllm-omni==0.30.0
    PYTHONPATH=. python tests/parity/write_voxtral.py vllm_omni-0.30.0-py3-none-any.whl

The wheel cannot be imported without vllm and a GPU. So two pieces of its source are run alone: the file of the codec, and the class of the
feed-forward from the file beside it. It needs torch and einops.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import sys
import tempfile
import types
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from bench.tokenizers.voxtral import Config
from tests.parity.voxtral_recipe import CASES, SMALL, STORED, weights
from tests.parity.wavtokenizer_recipe import heard, sound
from tests.parity.write_wavtokenizer import rounded

FOLDER = "vllm_omni/model_executor/models/voxtral_tts/"
CODEC, BESIDE = f"{FOLDER}voxtral_tts_audio_tokenizer.py", f"{FOLDER}voxtral_tts_audio_generation.py"
SEED = 0


def module(name: str, **values: object) -> types.ModuleType:
    """A stand-in."""
    made = types.ModuleType(name)
    made.__dict__.update(values)
    return made


def feed_forward(source: str, folder: Path) -> type:
    """The class FeedForward of that source, written to the folder, which is on the path, as a module of its own."""
    parsed = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "FeedForward")
    imports = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
    (folder / "voxtral_feed_forward.py").write_text(imports + ast.unparse(parsed), encoding="utf-8")
    return importlib.import_module("voxtral_feed_forward").FeedForward


def imported(kind: type) -> types.ModuleType:
    """The module of the codec, among stand-ins for all else that it imports; `kind`: its feed-forward."""
    kinds = {"AudioSpecialTokens": None, "FeedForward": kind, "MultimodalAudioModelArgs": None}
    stand_ins = [
        module("vllm.config", VllmConfig=None),
        module("vllm.logger", init_logger=lambda _: mock.Mock()),
        module("vllm.model_executor.model_loader.weight_utils", default_weight_loader=None),
        module(BESIDE.removesuffix(".py").replace("/", "."), from_nested_dict=lambda made, values: made(**values), **kinds),
        module("vllm_omni.platforms", current_omni_platform=None),
    ]
    with mock.patch.dict(sys.modules, {made.__name__: made for made in stand_ins}):
        return importlib.import_module("voxtral_codec")


def official_model(codec: str, beside: str, config: Config) -> Any:
    """The package's codec of that size, with its encoder."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(sys, "path", [folder, *sys.path]):
        (Path(folder) / "voxtral_codec.py").write_text(codec, encoding="utf-8")
        official = imported(feed_forward(beside, Path(folder)))
    official.__dict__["MultiVocabEmbeddings"] = lambda **_: nn.Identity()  # the language model's
    lists = {"kernels": config.kernels, "strides": config.strides, "transformer_lengths": (config.layers,) * len(config.strides)}
    halves = [("encoder", 1), ("decoder", -1)]
    text = {
        f"{half}_{'convs_' * (key != 'transformer_lengths')}{key}_str": ",".join(map(str, values[::way]))
        for half, way in halves
        for key, values in lists.items()
    }
    sizes = {
        "dim": config.dimension,
        "hidden_dim": config.feedforward,
        "head_dim": config.head,
        "n_heads": config.heads,
        "n_kv_heads": config.heads,
        "semantic_codebook_size": config.size,
        "semantic_dim": config.semantic,
        "acoustic_codebook_size": config.steps,
        "acoustic_dim": config.digits,
    }
    audio = {"codec_args": sizes | text, "audio_model_args": {}}
    hf = types.SimpleNamespace(audio_config=audio, text_config=types.SimpleNamespace(hidden_size=8))
    whole = types.SimpleNamespace(model_config=types.SimpleNamespace(hf_config=hf))
    return official.__dict__["VoxtralTTSAudioTokenizer"](vllm_config=whole).eval()


def put(model: Any, state: dict[str, Tensor]) -> None:
    """Give the package's model these weights."""
    model.load_state_dict(state, strict=True)
    model.quantizer.semantic_codebook._embedding = None  # derived once, from the sums


@torch.no_grad()
def fill(model: Any, config: Config) -> dict[str, Any]:
    """Gives the package's model the recipe's weights: what `weights` is told of them."""
    shapes = {name: list(value.shape) for name, value in sorted(model.state_dict().items())}
    zeros = [0.0] * config.semantic
    put(model, weights(shapes, SEED, zeros, zeros))
    points = model._forward_encoder(sound(1, 60 * config.hop, SEED + 100))[0, : config.semantic]
    middle, spread = rounded(points.mean(-1), 3), rounded(0.6 * points.std(-1), 3)
    put(model, weights(shapes, SEED, middle, spread))
    return {"shapes": shapes, "seed": SEED, "middle": middle, "spread": spread}


def encode(model: Any, wav: Tensor) -> Tensor:
    """Codes of clips, one by one: of a batch their encoder lays the clips end to end."""
    return torch.cat([model.quantizer.encode(model._forward_encoder(clip)) for clip in wav.split(1)])


def sources(wheel: Path) -> tuple[str, str]:
    """The file of the codec, and the one beside it."""
    with zipfile.ZipFile(wheel) as archive:
        codec, beside = (archive.read(name).decode() for name in (CODEC, BESIDE))
    return codec, beside


@torch.no_grad()
def measure(model: Any, clips: int, frames: int) -> dict[str, Any]:
    """What the package makes of one batch, in float32."""
    codes = encode(model, sound(clips, frames * SMALL.hop, SEED))
    wav = model.decode(codes, dtype=torch.float32)
    kept = {"codes": codes.tolist(), "samples": wav.shape[-1], "heard": [rounded(clip, 8) for clip in heard(wav)]}
    return {"clips": clips, "frames": frames} | kept


def main(wheel: Path) -> None:
    codec, beside = sources(wheel)
    model = official_model(codec, beside, SMALL)
    facts = fill(model, SMALL)
    cases = [measure(model, *case) for case in CASES]
    for k in range(1 + SMALL.digits):
        print(f"codebook {k}: {len({code for case in cases for clip in case['codes'] for code in clip[k]})} different codes")
    record = {"wheel": wheel.name, "source": hashlib.sha256(codec.encode()).hexdigest(), "torch": torch.__version__}
    record |= {"written by": "tests/parity/write_voxtral.py"}
    STORED.write_text(json.dumps(record | facts | {"cases": cases}, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
