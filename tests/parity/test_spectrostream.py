"""SpectroStream against the authors' code (magenta-rt 2.0.3, JAX) with the same weights, in one file as docs/tokenizers.md joins them.

spectrostream.json holds what theirs made of the recipe's weights and sounds, at a small size and at the official one (slowly). Where
SPECTROSTREAM_PYTHON names a Python with the authors' code (spectrostream_oracle.py), it runs beside ours, on more of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from bench.api import Codebook, UserError
from bench.tokenizers.spectrostream import BOOKS, VARIANTS, Config, SpectroStream, made
from tests.parity.spectrostream_oracle import Official, official, settled
from tests.parity.spectrostream_recipe import CONFIGS, SMALL, STORED, sizes, sound, weights
from tests.parity.ties import residual_levels, ties
from tests.parity.wavtokenizer_recipe import heard

RECORD = json.loads(STORED.read_text(encoding="utf-8"))
RUNS = [
    pytest.param(name, run, id=f"{name}-{run['seed']}", marks=pytest.mark.slow if name == "full" else ())
    for name in CONFIGS
    for run in RECORD[name]["runs"]
]
LIVE = [  # clips, samples, codebooks
    *((1, 48_000, 6), (3, 7_777, 6), (1, 480, 6), (1, 481, 2), (2, 1_919, 1), (1, 1_921, 6)),
]
SHAPES = RECORD["small"]["shapes"]


def loaded(config: Config, levels: int, state: dict[str, Tensor], folder: Path) -> SpectroStream:
    spec = replace(VARIANTS["16kbps"].spec, codebooks=(Codebook(config.size, 25.0),) * levels)
    path = folder / "spectrostream.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    model = made(spec, config, path)
    path.unlink()  # 250 MB at the official size
    return model


def only_ties(mine: SpectroStream, wav: Tensor, codes: Tensor, expected: Tensor) -> None:
    latents = mine.latents(F.pad(wav, (0, mine.shape.step)))
    books = [book.vectors()[0] for book in mine.quantizer.codebooks()[: codes.shape[1]]]
    ties(codes, expected, residual_levels(latents, books, expected))


def at(wav: Tensor) -> Tensor:
    """The samples of wav [B, C, T] that are stored: [B, C, n]."""
    return torch.stack([heard(clip[:, None]) for clip in wav])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "run"), RUNS)
@torch.inference_mode()
def test_codes_and_audio_equal_what_the_authors_code_made(name: str, run: dict, tmp_path: Path) -> None:
    config, lively = CONFIGS[name], 0
    state = weights(RECORD[name]["shapes"], run["seed"], run["facts"])
    for case in run["cases"]:
        expected, end = torch.tensor(case["codes"]), case["decoded"]
        mine = loaded(config, expected.shape[1], state, tmp_path)
        wav = sound(case["clips"], case["samples"], run["seed"])
        codes = mine.encode(wav)
        only_ties(mine, wav, codes, expected)
        audio = mine.decode(expected)
        assert audio.shape == (case["clips"], 2, end + 1_920)
        close(at(audio[..., end:]), torch.tensor(case["tail"]))
        if end:
            close(at(audio[..., :end]), torch.tensor(case["heard"]))
            lively = max(lively, len(expected.unique()))
            assert audio.std() > 0.05
    assert lively > 20


@pytest.fixture(scope="module")
def theirs() -> Iterator[Official]:
    with official() as codec:
        yield codec


@pytest.mark.parametrize("seed", [10, 11, 12])
@torch.inference_mode()
def test_codes_and_audio_equal_the_authors_code(seed: int, theirs: Official, tmp_path: Path) -> None:
    state = weights(SHAPES, seed, settled(theirs, SMALL, SHAPES, seed))
    for clips, samples, levels in LIVE:
        mine, wav = loaded(SMALL, levels, state, tmp_path), sound(clips, samples, seed)
        expected = theirs.run("encode", wav)["codes"][:, :levels]
        only_ties(mine, wav, mine.encode(wav), expected)
        decoded, audio = theirs.run("decode", expected), mine.decode(expected)
        close(audio, decoded["ended"])
        close(audio[..., : decoded["wav"].shape[-1]], decoded["wav"])
        assert samples < 48_000 or (all(len(level.unique()) > 8 for level in expected.unbind(1)) and audio.std() > 0.05)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_names_are_those_of_the_authors_code(name: str, theirs: Official) -> None:
    assert theirs.ask(do="shapes", sizes=sizes(CONFIGS[name])) == RECORD[name]["shapes"]


def test_the_stored_sizes_are_those_of_the_published_files() -> None:
    """37,013,392 and 209,853,216 bytes: 8 of them say how long the header is, that is filled up to whole 8 bytes."""
    for part, size in (("encoder", 37_013_392), ("decoder|quantizer", 209_853_216)):
        header, end = dict[str, object](), 0
        for name, shape in RECORD["full"]["shapes"].items():
            if name.split("/")[1] in part.split("|"):
                start, end = end, end + 4 * torch.Size(shape).numel()
                header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
        assert 8 + -(-len(json.dumps(header, separators=(",", ":"))) // 8) * 8 + end == size


@pytest.mark.parametrize("lacking", ["params/decoder/decoder_3/conv2dtranspose_3x4/conv/bias", BOOKS])
def test_a_file_that_lacks_a_tensor_is_one_line(lacking: str, tmp_path: Path) -> None:
    state = weights(SHAPES, 0, RECORD["small"]["runs"][0]["facts"])
    with pytest.raises(UserError, match=r"does not fit this configuration: Missing key\(s\)"):
        loaded(SMALL, 6, {name: value for name, value in state.items() if name != lacking}, tmp_path)


def test_a_tensor_that_nothing_knows_is_refused(tmp_path: Path) -> None:
    state = weights(SHAPES, 0, RECORD["small"]["runs"][0]["facts"]) | {"params/encoder/encoder_7/conv2d_3x3/conv/bias": torch.zeros(2)}
    with pytest.raises(UserError, match=r"does not fit this configuration: Unexpected key\(s\)"):
        loaded(SMALL, 6, state, tmp_path)
