"""What few tokenizers need a spec to say: side codes, floats, another output rate, frames of varying length, a lost level."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Codebook, Codes, Reconstruction, Spec, Variant
from bench.cli import main
from bench.conformance.rules import Finding, check
from bench.data.manifests import open_data
from bench.engine.codec_stage import reconstructions
from bench.engine.run import Options, identity
from bench.nn.side import WORD, codes_to_floats, floats_to_codes
from bench.plugins import boundary
from bench.probe.inputs import unprobed
from bench.report import describe
from bench.tokens.codes import check_codes, packed_bits
from bench.tokens.layouts import layouts, require_frames
from tests.conftest import ROOT
from tests.one_run import column, once

FOLDER = ROOT / "tests" / "examples"
EXPECTED = {  # of 1 s: bits, tokens, and lines of bench show
    "peak": (8000 * 4 + 8, 8001, ["1 x 256 once an utterance", "32 kbps and 8 bit once: 32 kbps over 10 s"]),
    "float": (8000 * 4 + 2 * 16, 8002, ["2 x 65536 once an utterance", "and 32 bit once"]),
    "wide": (8000 * 4, 8000, ["8 kHz in, 16 kHz out"]),
    "even": (8000 * 8 + 16, 8000, ["lost by decode: restored from 16 bit once", "and 16 bit once"]),
}
BICODEC = Spec("b", "v", 16_000, (Codebook(8192, 50.0),), side=(Codebook(4096, 0, role="timbre", levels=(4,) * 6),) * 32)


def variant(name: str) -> Variant:
    return registry.variant(str(FOLDER / f"{name}_codec.py"))


def found(one: Variant, load: Callable[[], Any] | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in check(one, load or (lambda: registry.load_tokenizer(one)))}


def coded(one: Variant, data: Path, **options: Any) -> list[Reconstruction]:
    items = list(reconstructions(one.spec, lambda: registry.load_tokenizer(one), open_data(str(data)).clips, **options))
    assert not [item.failure for item in items if item.failure]
    return sorted(items, key=lambda item: item.clip.id)


@pytest.mark.parametrize("name", [*EXPECTED, "runs"])
def test_a_codec_of_twenty_lines_keeps_the_contract(name: str) -> None:
    failed = {finding.name: finding.detail for finding in found(variant(name)).values() if finding.outcome == "fail"}
    assert not failed


@pytest.mark.parametrize("name", EXPECTED)
def test_its_bits_and_tokens_are_counted_and_shown(name: str, make_data: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    bits, tokens, lines = EXPECTED[name]
    item = coded(variant(name), make_data(1, seconds=1.0))[0]
    assert (item.seconds, item.packed_bits, item.tokens) == (1.0, bits, tokens)
    assert main(["show", str(FOLDER / f"{name}_codec.py")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert all(line in shown for line in lines), shown


@pytest.mark.parametrize(("name", "suite"), [("peak", "codes"), ("wide", "reconstruction"), ("runs", "codes"), ("even", "codes")])
def test_suites_run_with_it(name: str, suite: str, make_data: Callable[..., Path], tmp_path: Path) -> None:
    done = once(variant(name), registry.load_suite(suite), open_data(str(make_data(2, seconds=1.0))), tmp_path / "results")
    assert not done.failed
    entropy, packed = column(done, "kbps_entropy")["*"], column(done, "kbps_packed")["clip0"]
    assert 0 < entropy.value < packed.value * 1.01
    if name in EXPECTED:
        assert packed.value == pytest.approx(EXPECTED[name][0] / 1000)
        nominal = column(done, "kbps_nominal")["*"]
        assert nominal.value == pytest.approx(done.variant.spec.bitrate / 1000)
        assert ("once an utterance" in nominal.note) == bool(done.variant.spec.bits_once)
    if name == "wide":
        assert column(done, "stoi")["clip0"].value > 0.5 and column(done, "tail_loss_ms")["clip0"].value == 0
    if name == "runs":
        assert math.isnan(column(done, "kbps_nominal")["*"].value)
        assert math.isnan(column(done, "pnmi")["*"].value) and "vary" in column(done, "pnmi")["*"].note


def test_runs_cost_what_a_count_by_hand_says(make_data: Callable[..., Path]) -> None:
    item = coded(variant("runs"), make_data(2, seconds=1.0), batch=2)[0]
    values = torch.repeat_interleave(item.codes[0], item.codes[1] + 1).tolist()
    runs = sum(1 for start in range(0, len(values), 256) for _ in groupby(values[start : start + 256]))
    assert len(values) == 8000 and item.codes.shape == (2, runs)
    assert (item.packed_bits, item.tokens) == (8 * math.ceil(12 * runs / 8), 2 * runs)


def test_what_is_decoded_at_another_rate_is_as_long_as_what_was_encoded(make_data: Callable[..., Path]) -> None:
    for item in coded(variant("wide"), make_data(2, seconds=0.50003)):
        assert item.est.sample_rate == 16_000 and item.est.wav.shape[-1] == 2 * item.length and item.tail_loss == 0
        assert item.seconds == item.length / 8000
    short = Spec("s", "v", 16_000, (Codebook(2, 1.0),), output_rate=24_000)
    assert [short.decoded(n) for n in (1, 2, 3)] == [2, 3, 5] and replace(short, output_rate=None).decoded(7) == 7


def test_a_lost_level_is_restored_from_the_bits_that_are_counted_for_it(make_data: Callable[..., Path]) -> None:
    data, kept = make_data(1, seconds=1.0), replace(variant("even"), spec=replace(variant("even").spec, keeps_level=True))
    restored, lost = coded(variant("even"), data)[0], coded(kept, data)[0]
    level = float(restored.ref.wav.square().mean().sqrt())
    assert float(restored.est.wav.square().mean().sqrt()) == pytest.approx(level, rel=0.02)  # of 16 kHz, heard at 8
    assert abs(float(lost.est.wav.square().mean().sqrt()) / level - 1) > 0.05
    assert restored.packed_bits == lost.packed_bits + 16
    assert found(kept)["level"].outcome == "warn", "it says that it keeps what it loses"
    liar = replace(variant("wide"), spec=replace(variant("wide").spec, keeps_level=False))
    assert found(liar, lambda: liar.load(liar.spec))["level"].outcome == "fail"


def test_floats_travel_bit_for_bit_and_random_codes_read_as_numbers() -> None:
    values = torch.tensor([[[0.0], [-1.5], [1 / 3], [1e9]]])
    for dtype, words in ((torch.float16, 1), (torch.float32, 2)):
        codes = floats_to_codes(values, dtype)
        assert codes.shape == (1, 4 * words, 1) and 0 <= int(codes.min()) and int(codes.max()) < WORD
        assert torch.equal(codes_to_floats(codes, dtype), values.clamp(max=torch.finfo(dtype).max).to(dtype).float())
    assert bool(codes_to_floats(torch.arange(WORD)[None, :, None]).isfinite().all())


@pytest.mark.parametrize(
    ("side", "bits"),
    [((Codebook(4096, 0),) * 32, 384), ((Codebook(1024, 0),) * 8, 80), ((Codebook(WORD, 0),) * 256, 4096)],
    ids=["BiCodec", "TiCodec", "FACodec"],
)
def test_what_published_codecs_send_once(side: tuple[Codebook, ...], bits: int) -> None:
    spec = replace(BICODEC, side=side)
    assert spec.bits_once == bits and spec.bitrate == 650 and spec.tokens_per_s == 50
    frames, once_codes = torch.zeros(1, 500, dtype=torch.int64), torch.zeros(len(side), 1, dtype=torch.int64)
    assert packed_bits(frames, spec, once_codes) == 8 * math.ceil((500 * 13 + bits) / 8)


def test_side_codes_take_positions_of_a_context_and_a_vocabulary_of_their_own() -> None:
    (flattened,) = layouts(BICODEC)
    assert flattened.positions(10) == 500 + 32 and flattened.vocabularies == (8192 + 32 * 4096,)
    assert flattened.offsets[:3] == (0, 8192, 8192 + 4096)
    shared = replace(BICODEC, side=(Codebook(WORD, 0, table="float16"),) * 256)
    assert layouts(shared)[0].vocabularies == (8192 + WORD,) and set(layouts(shared)[0].offsets) == {0, 8192}
    chunked = registry.variant("encodec@48khz-6kbps").spec
    parallel = layouts(chunked)[-1]
    assert parallel.positions(9.9) == 1500 + 2 * 10 and parallel.vocabularies[-2:] == (WORD, WORD)
    assert "0.6884 kbps over 10 s" in describe.facts(Variant(BICODEC, lambda spec: None))["bitrate"]  # type: ignore[arg-type, return-value]


def test_a_layout_that_needs_frames_of_one_length_is_refused_in_one_line() -> None:
    spec = variant("runs").spec
    assert layouts(spec) == [] and "vary in length" in unprobed(spec)
    with pytest.raises(Exception, match=r"runs_codec@v: its frames vary in length, and the layout delayed needs .*: use flattened"):
        require_frames(spec, "delayed")
    require_frames(spec, "flattened")
    require_frames(BICODEC, "delayed")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"causal": True}, "causal"),
        ({"side": (Codebook(4, 0), Codebook(4, 1.0))}, "all"),
        ({"output_rate": 16_000, "sample_rate": None}, "output_rate"),
        ({"codebooks": (Codebook(16, 8_000, role="duration"),)}, "math.nan"),
        ({"codebooks": (Codebook(16, 8_000), Codebook(16, math.nan))}, "some codebooks"),
    ],
)
def test_what_cannot_be_is_told(changes: dict[str, Any], why: str) -> None:
    one = replace(variant("peak"), spec=replace(variant("peak").spec, **changes))
    finding = found(one, lambda: one.load(one.spec))["spec"]
    assert finding.outcome == "fail" and why in finding.detail


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (torch.zeros(1, 1, 5, dtype=torch.int64), "and side codes"),
        ((torch.zeros(1, 1, 5, dtype=torch.int64), None), "and side codes"),
    ],
)
def test_an_encode_that_forgets_its_side_codes_is_told(made: object, message: str) -> None:
    class Forgets:
        spec = variant("peak").spec

        def encode(self, wav: Tensor) -> Any:
            return made

        def decode(self, codes: Tensor) -> Tensor:
            return codes.float()

    with pytest.raises(boundary.Failed, match=message):
        boundary.encode(Forgets(), torch.zeros(1, 1, 5))


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (torch.zeros(1, 2, 1, dtype=torch.int64), r"side codes must be \[1, 1, 1\] int64"),
        (torch.zeros(1, 1, 2, dtype=torch.int64), "come once"),
        (torch.full((1, 1, 1), 256), "side codes of codebook 0 lie in 256..256"),
    ],
)
def test_side_codes_outside_the_contract_are_refused(side: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_codes(Codes(torch.zeros(1, 1, 5, dtype=torch.int64), side), variant("peak").spec, 1)


def test_the_run_of_a_tokenizer_that_has_none_of_it_is_known_by_what_it_was(make_data: Callable[..., Path], tmp_path: Path) -> None:
    suite, data = registry.load_suite("codes"), open_data(str(make_data(1, seconds=0.5)))
    plain = identity(registry.variant("mulaw@8bit"), suite, data, Options(tmp_path))["tokenizer"]
    sided = identity(Variant(BICODEC, lambda spec: None), suite, data, Options(tmp_path))["tokenizer"]  # type: ignore[arg-type, return-value]
    assert isinstance(plain, dict) and not {"side", "output_rate", "keeps_level"} & plain.keys()
    assert isinstance(sided, dict) and sided["side"] == [[4096, 0, [4] * 6]] * 32
