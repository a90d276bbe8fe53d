"""Clips that are longer than a tokenizer takes: where they are cut, that nothing is lost there, and what is said and measured of it."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

import bench
from bench import registry
from bench.api import Codebook, Codes, Spec, Tokenizer, Variant
from bench.cli import main
from bench.conformance.rules import Finding, check
from bench.data.manifests import open_data
from bench.engine.codec_stage import reconstructions
from bench.engine.run import Options, identity
from bench.metrics.seams import NO_SEAM, RATE, seam_db
from bench.plugins import boundary, calls
from bench.plugins.pieces import Cutting, Piece, seams
from bench.records import reader
from tests.conftest import ROOT, speech_like
from tests.examples.short_codec import SPEC, ShortCodec
from tests.one_run import column, once

FILE = ROOT / "tests" / "examples" / "short_codec.py"
SUITE = registry.load_suite("reconstruction")
FRAMES = Spec("f", "v", 16_000, (Codebook(8, 50.0),), longest=2.0)  # hop 320, 100 frames at once


@pytest.mark.parametrize(
    ("spec", "frames", "expected"),
    [
        (FRAMES, 100, [Piece(0, 100, 0)]),
        (FRAMES, 101, [Piece(0, 100, 0), Piece(100, 101, 0)]),
        (FRAMES, 250, [Piece(0, 100, 0), Piece(100, 200, 0), Piece(200, 250, 0)]),
        (replace(FRAMES, context=0.5), 160, [Piece(0, 75, 0), Piece(75, 150, 25), Piece(150, 160, 25)]),
        (replace(FRAMES, longest=2.015), 101, [Piece(0, 100, 0), Piece(100, 101, 0)]),  # whole frames
        (replace(FRAMES, block=960), 120, [Piece(0, 99, 0), Piece(99, 120, 0)]),  # whole blocks of three
    ],
)
def test_pieces_are_whole_frames_and_say_by_their_number_where_they_are(spec: Spec, frames: int, expected: list[Piece]) -> None:
    assert Cutting(spec).pieces(frames) == expected
    assert all(piece.stop - piece.first <= 100 for piece in expected)


def test_seams_are_in_seconds_and_none_where_the_clip_is_not_too_long() -> None:
    assert seams(FRAMES, 32_000) == () == seams(replace(FRAMES, longest=None), 10**9)
    assert seams(FRAMES, 32_001) == (2.0,)
    assert seams(replace(FRAMES, context=0.5), 16_000 * 4) == (1.5, 3.0)


def found(variant: Variant, load: Callable[[], Tokenizer] | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in check(variant, load or (lambda: variant.load(variant.spec)))}


def test_a_codec_of_twenty_lines_that_takes_a_second_keeps_the_contract() -> None:
    kept = found(registry.variant(str(FILE)))
    assert {name for name, finding in kept.items() if finding.outcome == "fail"} <= {"delay"}  # its slow start
    assert kept["pieces"].detail == "1.25 s in 2 pieces" and kept["frame_rate"].outcome == "pass"
    unstated = replace(SPEC, longest=None, context=0.0)
    assert found(Variant(unstated, ShortCodec))["frame_rate"].outcome == "fail", "10 s cannot be coded at once"


def test_check_finds_pieces_that_are_not_whole() -> None:
    class Windowed(ShortCodec):
        def encode(self, wav: Tensor) -> Tensor:
            return super().encode(wav)[..., 400:]  # as a window longer than the hop leaves out

    class Forgets(ShortCodec):
        def decode(self, codes: Tensor) -> Tensor:
            return super().decode(codes)[..., : 16_000 - 4000]

    def outcome(spec: Spec, kind: type[ShortCodec]) -> tuple[str, str]:
        findings = found(Variant(spec, kind), lambda: kind(spec))
        return findings["spec"].outcome, findings["pieces"].outcome

    assert outcome(SPEC, Windowed)[1] == outcome(SPEC, Forgets)[1] == "fail"
    assert outcome(replace(SPEC, longest=2.0), ShortCodec)[1] == "fail", "it takes less than it states"
    assert outcome(replace(SPEC, context=1.0), ShortCodec)[0] == "fail", "nothing is left of a piece"
    assert outcome(replace(SPEC, codebooks=(Codebook(4095, math.nan),)), ShortCodec)[0] == "fail"


@pytest.fixture
def mixed(make_data: Callable[..., Path]) -> Path:
    """0.9 s and 1 s: both fit."""
    return make_data(2, seconds=0.9)


@pytest.fixture
def long(make_data: Callable[..., Path]) -> Path:
    """2.5 s and 2.6 s."""
    return make_data(2, seconds=2.5, name="long")


def test_nothing_is_lost_at_a_seam_in_any_batch(long: Path, mixed: Path) -> None:
    clips = (*open_data(str(long)).clips, *(replace(clip, id=f"short-{clip.id}") for clip in open_data(str(mixed)).clips))

    def coded(spec: Spec, batch: int) -> dict[str, tuple[Tensor, Tensor, tuple[float, ...]]]:
        items = list(reconstructions(spec, lambda: ShortCodec(spec), clips, batch=batch))
        assert not [item.failure for item in items if item.failure]
        return {item.clip.id: (item.codes, item.est.wav, item.seams) for item in items}

    alone, together = coded(SPEC, 1), coded(SPEC, 4)
    for clip in clips:
        (codes, wav, cuts), (others, heard, _) = alone[clip.id], together[clip.id]
        assert torch.equal(codes, others) and torch.equal(wav, heard) and codes.shape[-1] == wav.shape[-1]
        assert cuts == (() if clip.id.startswith("short") else (0.9, 1.8))
        assert torch.allclose(wav[:, 800:], (codes / 2047 - 1)[:, 800:], atol=1e-6), "the context hides the slow start"
    hurt = replace(SPEC, context=0.02)  # too little for the decoder's start: heard wherever a clip is cut, 0.98 s among it
    alone_hurt, together_hurt = coded(hurt, 1), coded(hurt, 4)
    assert all(torch.equal(wav, together_hurt[clip][1]) for clip, (_, wav, _) in alone_hurt.items()), (
        "a batch cuts no clip that is not cut alone"
    )
    bare = coded(replace(SPEC, context=0.0), 1)["clip0"]
    assert torch.equal(bare[0], alone["clip0"][0]) and bare[2] == (1.0, 2.0)
    assert bare[1][:, 16_000] == 0 and bool((bare[1][:, 16_000:16_700].abs() < alone["clip0"][1][:, 16_000:16_700].abs() + 1e-6).all())


def test_each_piece_draws_noise_of_its_own() -> None:
    class Hiss(ShortCodec):
        def decode(self, codes: Tensor, seeds: tuple[int, ...] = ()) -> Tensor:
            return torch.stack([torch.randn(1, codes.shape[-1], generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    spec = replace(SPEC, sampled=True, context=0.0)
    wav = calls.decode(Hiss(spec), Codes(torch.zeros(1, 1, 32_000, dtype=torch.int64)), [5])
    assert torch.equal(wav[..., :16_000], Hiss(spec).decode(torch.zeros(1, 1, 16_000), (5,)))
    assert not torch.equal(wav[..., :16_000], wav[..., 16_000:])


def test_pieces_have_side_codes_of_their_own_and_may_sound_at_another_rate() -> None:
    class Leveller:
        """Samples relative to the loudest, whose level is sent once a piece; heard at twice the rate."""

        spec = replace(SPEC, side=(Codebook(1000, 0.0),), output_rate=32_000)

        def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
            assert wav.shape[-1] <= 16_000
            peak = (wav.abs().amax(-1) * 999).round().long().clamp(1, 999)
            return ((wav * 999 / peak[..., None]).clamp(-1, 1) * 2047 + 2047).round().long(), peak[..., None]

        def decode(self, codes: Tensor, side: Tensor) -> Tensor:
            assert codes.shape[-1] <= 16_000 and side.shape[-1] == 1
            return ((codes / 2047 - 1) * side / 999).repeat_interleave(2, dim=-1)

    codec = cast(Tokenizer, Leveller())
    wav = torch.rand(2, 1, 40_000, generator=torch.Generator().manual_seed(0)) - 0.5
    wav[..., :14_400] /= 10
    codes = boundary.encode(codec, wav)
    assert codes.frames.shape == (2, 1, 40_000) and codes.side is not None and codes.side.shape == (2, 1, 3)
    assert codes.side[0, 0, 0] < 60 < codes.side[0, 0, 1]
    back = boundary.decode(codec, codes)
    assert back.shape == (2, 1, 80_000) and torch.allclose(back[..., ::2], wav, atol=2e-3)


def test_the_cost_of_seams_is_measured_where_they_are() -> None:
    ref = speech_like(6.0, RATE, 1)[None] + 0.02 * torch.randn(1, 6 * RATE, generator=torch.Generator().manual_seed(0))
    quiet = ref.clone()
    quiet[:, 3 * RATE - 480 : 3 * RATE + 480] *= 0.1  # 20 dB in 40 ms
    assert 5 < seam_db(ref, quiet, [3.0]).value < 20
    assert seam_db(ref, quiet, [2.0]).value < 0, "elsewhere is worse"
    assert seam_db(ref, 0.5 * ref, [3.0]).value == pytest.approx(0, abs=0.05)
    assert math.isnan(seam_db(ref, quiet, []).value) and seam_db(ref, quiet, []).note == NO_SEAM


def test_a_run_says_in_how_many_pieces_and_what_it_costs(
    long: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--tokenizer", str(FILE), "--data", str(long), "--results", str(tmp_path), "--columns", "seam_db,pieces"]
    assert main([*words, "--suite", "reconstruction,codes"]) == 0
    said = capsys.readouterr()
    assert "note: clip0, clip1: longer than the 1 s that short_codec@v takes: cut into 3 pieces, each with 0.1 s" in said.err
    assert "seam_db" in said.out
    for suite in ("reconstruction", "codes"):
        (rows,) = (tmp_path / suite).glob("short_codec@v-*/rows.csv")
        assert rows.read_text().count("cut into 3 pieces") == 2
    (folder,) = (tmp_path / "reconstruction").glob("short_codec@v-*")
    with_context = reader.read(folder).scores["speech", "seam_db"]
    variant = registry.variant(str(FILE))
    bare = once(replace(variant, spec=replace(SPEC, context=0.0)), SUITE, open_data(str(long)), tmp_path)
    short = once(variant, SUITE, open_data(str(mixed)), tmp_path)
    costs = {clip: row.value - with_context[clip].value for clip, row in column(bare, "seam_db").items()}
    assert len(costs) == 2 and all(cost > 1 for cost in costs.values()), f"without context the decoder starts anew: {costs}"
    assert {row.value for row in column(short, "pieces").values()} == {1.0}
    assert {row.note for row in column(short, "seam_db").values()} == {NO_SEAM}


def test_others_have_no_such_columns_and_their_keys_are_as_they_were(mixed: Path, tmp_path: Path) -> None:
    data = open_data(str(mixed))
    done = once("mulaw@8bit", SUITE, data, tmp_path)
    assert not column(done, "pieces") and not column(done, "seam_db")
    plain = replace(SPEC, longest=None, context=0.0)
    facts, others = (identity(Variant(spec, ShortCodec), SUITE, data, Options())["tokenizer"] for spec in (SPEC, plain))
    assert isinstance(facts, dict) and isinstance(others, dict)
    assert facts == others | {"longest": 1.0, "context": 0.1} and "longest" not in others


def test_python_and_show_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = bench.load_tokenizer(str(FILE))
    wav, rate = loaded.decode(loaded.encode(torch.rand(24_000) - 0.5, 16_000))
    assert (wav.shape[-1], rate) == (24_000, 16_000)
    assert main(["show", str(FILE)]) == 0
    assert "1 s; longer ones are cut into pieces, each with 0.1 s of what comes before" in capsys.readouterr().out
    assert main(["show", str(FILE), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["longest"] == 1.0
