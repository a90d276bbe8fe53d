"""HuBERT with a head of letters (Hsu et al. 2021, arxiv.org/abs/2106.07447), as hubert-large-ls960-ft: the recognizer of many codec papers.

50 times a second the network says a letter or a blank; the likeliest of each frame, repeats once and blanks out, are the text (greedy CTC,
no language model). A model is a folder in transformers' form: its weights, config.json and vocab.json. The network is this project's.
The sums that are published for hubert-large-ls960-ft contradict each other, so none is pinned and it is not fetched: it is taken from the
hub's cache, at REVISION, or from a folder that the user names, and its sha256 becomes part of the column's name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.api import UserError
from bench.data.unicode_forms import compared
from bench.evaluators.openai_whisper import normaliser
from bench.nn.hubert import Hubert, HubertShape
from bench.nn.hubert_names import renamed
from bench.weights.download import HubFile, sha256_of
from bench.weights.files import fill, fold_weight_norm, load_state

NAME, REPO, REVISION = "hubert-large-ls960-ft", "facebook/hubert-large-ls960-ft", "ece5fabbf034c1073acae96d5401b25be96709d8"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
TEXTS = ("config.json", "vocab.json")
PREPROCESSOR = "preprocessor_config.json"  # says whether sound is scaled; models without it are taken as those of their kind
ABOUT = "greedy CTC of letters, EnglishTextNormalizer"
BETWEEN = "|"  # words, in the vocabulary
LONGEST = 16_000 * 60  # samples that are heard at once: attention grows with their square


class HubertCtc(nn.Module):
    """wav [B, 1, T] at 16 kHz -> logits of letters [B, F, letters]."""

    def __init__(self, shape: HubertShape, layers: int, letters: int):
        super().__init__()
        self.encoder = Hubert(shape, layers)
        self.norm = nn.LayerNorm(shape.dimension) if shape.pre_norm else nn.Identity()
        self.head = nn.Linear(shape.dimension, letters)

    def forward(self, wav: Tensor) -> Tensor:
        return self.head(self.norm(self.encoder(wav)))


@dataclass(frozen=True)
class CtcRecognizer:
    """A model on its device, with the letter of each output, "" for those that are none."""

    model: HubertCtc
    letters: tuple[str, ...]
    device: str
    key: str
    scaled: bool = False  # each piece is brought to zero mean and unit variance first
    unknown: Mapping[str, int] = field(default_factory=dict)
    in_workers: bool = False

    def hears(self, language: str) -> bool:
        return language == "en"

    @torch.inference_mode()
    def transcribe(self, wav: Tensor, language: str) -> str:
        pieces = [self._scaled(piece) for piece in wav.split(LONGEST) if len(piece)]
        best = [self.model(piece[None, None].to(self.device))[0].argmax(-1).tolist() for piece in pieces]
        return " ".join(filter(None, (spelled(outputs, self.letters) for outputs in best)))

    def _scaled(self, wav: Tensor) -> Tensor:
        return (wav - wav.mean()) / (wav.var(correction=0) + 1e-7).sqrt() if self.scaled else wav

    def normalise(self, text: str, language: str) -> str:
        return normaliser(language)(compared(text)).strip()


def spelled(outputs: Sequence[int], letters: Sequence[str]) -> str:
    """The likeliest output of each frame -> a text with one space between words."""
    text = "".join(letters[output] for output, _ in groupby(outputs))
    return " ".join(text.replace(BETWEEN, " ").lower().split())


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a model; UserError where one is missing."""
    found = {name: folder / name for name in (*WEIGHTS, *TEXTS, PREPROCESSOR) if (folder / name).is_file()}
    lacking = [name for name in TEXTS if name not in found]
    if lacking or not any(name in found for name in WEIGHTS):
        lacks = ", ".join(lacking) or WEIGHTS[0]
        raise UserError(f"{folder} has no {lacks}: a CTC model of transformers is a folder of its weights, {', '.join(TEXTS)}")
    return found


def weights_of(files: Mapping[str, Path]) -> Path:
    """The file of weights, safetensors where there is one."""
    return next(files[name] for name in WEIGHTS if name in files)


def sha256_of_files(files: Mapping[str, Path]) -> str:
    """Of all that decides what is heard: the weights that are taken, the configurations and the letters."""
    chosen = [weights_of(files), *(files[name] for name in (*TEXTS, PREPROCESSOR) if name in files)]
    return hashlib.sha256("".join(map(sha256_of, chosen)).encode()).hexdigest()


def cached() -> Path:
    """The folder of hubert-large-ls960-ft in the hub's cache; UserError with the line that fetches it."""
    paths = [HubFile(REPO, REVISION, name, "model").cached() for name in (WEIGHTS[1], *TEXTS)]
    if any(path is None for path in paths):
        fetch = f"hf download {REPO} pytorch_model.bin {' '.join(TEXTS)} --revision {REVISION}"
        raise UserError(
            f"{NAME} is not in the hub's cache, and no sha256 that could be trusted is known here: {fetch}, then repeat this command"
        )
    found = [path for path in paths if path is not None]
    return found[0].parent


def load(folder: Path, device: str) -> CtcRecognizer:
    """The model of a folder on the device."""
    files = files_of(folder)
    shape, layers = _shape(files["config.json"])
    letters = _letters(files["vocab.json"])
    model = HubertCtc(shape, layers, len(letters))
    fill(model, _ours(load_state(weights_of(files)), layers, shape.pre_norm), weights_of(files))
    key = f"CTC on {torch.device(device).type}"
    usual = shape.conv_norm == "layer"  # what the authors' own models of that kind were trained with
    scaled = bool(_read(files[PREPROCESSOR]).get("do_normalize", usual)) if PREPROCESSOR in files else usual
    return CtcRecognizer(model.to(device).eval().requires_grad_(False), letters, device, key, scaled)


def _shape(config: Path) -> tuple[HubertShape, int]:
    told = _read(config)
    try:
        shape = HubertShape(
            told["hidden_size"],
            told["num_attention_heads"],
            told["intermediate_size"],
            told["conv_dim"][0],
            "layer" if told["feat_extract_norm"] == "layer" else "group",
            told["conv_bias"],
            told["do_stable_layer_norm"],
            False,
            told["num_conv_pos_embeddings"],
            told["num_conv_pos_embedding_groups"],
        )
        return shape, int(told["num_hidden_layers"])
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f"{config} describes no HuBERT or wav2vec 2.0 ({error}): give a folder as {REPO} is one") from error


def _letters(vocabulary: Path) -> tuple[str, ...]:
    places = {place: letter for letter, place in _read(vocabulary).items() if isinstance(place, int)}
    return tuple("" if places.get(i, "<").startswith("<") else places[i] for i in range(max(places, default=-1) + 1))


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): give a folder as {REPO} is one") from error
    return found if isinstance(found, dict) else {}


def _ours(state: dict[str, Tensor], layers: int, pre_norm: bool) -> dict[str, Tensor]:
    """A file's tensors under the names of `HubertCtc`."""
    state = fold_weight_norm(state)
    head = {f"head.{name.removeprefix('lm_head.')}": state.pop(name) for name in list(state) if name.startswith("lm_head.")}
    last = ("hubert.encoder.layer_norm.", "wav2vec2.encoder.layer_norm.")
    norm = {f"norm.{name.rsplit('.', 1)[1]}": value for name, value in state.items() if pre_norm and name.startswith(last)}
    return head | norm | {f"encoder.{name}": value for name, value in renamed(state, layers, pre_norm).items()}
