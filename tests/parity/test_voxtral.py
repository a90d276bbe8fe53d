"""Voxtral's codec against what vllm-omni's code made of the same weights and sounds, at a small size.

voxtral.json holds that, written by write_voxtral.py. The weights go to a file under the published names, and through `made`. Mistral
released no weights of the encoder; its code is compared all the same.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.api import Codebook, UserError
from bench.tokenizers.voxtral import OURS, VARIANTS, Voxtral, made
from tests.parity.ties import residual_levels, ties
from tests.parity.voxtral_recipe import SMALL, STORED, weights
from tests.parity.wavtokenizer_recipe import heard, sound

BOOKS = (Codebook(SMALL.size, 12.5), *(Codebook(SMALL.steps, 12.5) for _ in range(SMALL.digits)))
SPEC = replace(VARIANTS["24khz"].spec, codebooks=BOOKS, encodes=True)
RECORD = json.loads(STORED.read_text(encoding="utf-8"))
CASES = [pytest.param(case, id=f"{case['clips']}x{case['frames']}") for case in RECORD["cases"]]


def state() -> dict[str, Tensor]:
    """Under the names of the published file, where the language model's weights lie beside the codec's."""
    found = weights(RECORD["shapes"], RECORD["seed"], RECORD["middle"], RECORD["spread"])
    return {OURS + name: value for name, value in found.items()} | {"mm_audio_embeddings.tok_embeddings.weight": torch.zeros(2, 2)}


def loaded(state: dict[str, Tensor], folder: Path) -> Voxtral:
    torch.save(state, folder / "consolidated.pt")
    return made(SPEC, SMALL, folder / "consolidated.pt")


def only_ties(mine: Voxtral, wav: Tensor, codes: Tensor, expected: Tensor) -> None:
    """Of the semantic codes, proven; a digit may differ where its number is between two steps."""
    assert mine.encoder is not None
    points, numbers = mine.encoder(wav).split([mine.config.semantic, mine.config.digits], dim=1)
    ties(codes[:, :1], expected[:, :1], residual_levels(points, [mine.codebook.vectors()[0]], expected[:, :1]))
    differ = codes[:, 1:] != expected[:, 1:]
    between = ((numbers.tanh() + 1) / 2 * (mine.config.steps - 1)) % 1
    assert ((between - 0.5).abs()[differ] < 1e-4).all() and differ.double().mean() < 1e-3, "more than ties"


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_codes_and_audio_equal_vllm_omni(case: dict, tmp_path: Path) -> None:
    mine = loaded(state(), tmp_path)
    wav, expected = sound(case["clips"], case["frames"] * SMALL.hop, RECORD["seed"]), torch.tensor(case["codes"])
    codes = mine.encode(wav)
    assert codes.shape == expected.shape
    only_ties(mine, wav, codes, expected)
    audio = mine.decode(expected)
    assert audio.shape == (case["clips"], 1, case["samples"])
    torch.testing.assert_close(heard(audio), torch.tensor(case["heard"]), rtol=1e-5, atol=1e-5)
    assert case["frames"] < 50 or (len(codes[:, 0].unique()) > 20 and len(codes[:, 1:].unique()) > 15 and audio.std() > 0.02)


@torch.inference_mode()
def test_without_an_encoder_it_only_decodes(tmp_path: Path) -> None:
    published = {name: value for name, value in state().items() if not name.startswith((f"{OURS}input_proj.", f"{OURS}encoder_blocks."))}
    mine = loaded(published, tmp_path)
    expected = torch.tensor(RECORD["cases"][1]["codes"])
    assert torch.equal(mine.decode(expected), loaded(state(), tmp_path).decode(expected))
    with pytest.raises(UserError, match="only decodes"):
        mine.encode(torch.zeros(1, 1, 1920))


def test_a_file_that_lacks_a_tensor_is_one_line(tmp_path: Path) -> None:
    short = state()
    del short[f"{OURS}decoder_blocks.3.layers.1.ffn_scale"]
    with pytest.raises(UserError, match="does not fit this configuration"):
        loaded(short, tmp_path)


@torch.inference_mode()
def test_decoding_begins_anew_after_a_chunk() -> None:
    spec = VARIANTS["tiny"].spec
    mine = VARIANTS["tiny"].load(spec)
    codes = torch.stack([torch.randint(book.size, (1, 23)) for book in spec.codebooks], dim=1)
    parts = [mine.decode(part) for part in codes.split(10, dim=-1)]
    assert torch.equal(mine.decode(codes), torch.cat(parts, dim=-1))
