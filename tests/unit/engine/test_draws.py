"""Decoders that draw noise: the seed of a clip, whichever way it is coded, and what a run's key and a comparison say of it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

import bench
from bench import registry
from bench.api import Codebook, Spec, Stream, Tokenizer, Variant
from bench.cli import main
from bench.conformance.rules import Finding, check
from bench.data.manifests import open_data
from bench.engine.codec_stage import reconstructions, trials
from bench.engine.run import Options, Run, identity, run
from bench.nn.noise import Noise
from bench.plugins import calls
from bench.records import reader
from bench.records.reader import Kept
from tests.conftest import ROOT
from tests.examples.noise_codec import NoiseCodec

FILE = ROOT / "tests" / "examples" / "noise_codec.py"
SUITE = registry.load_suite("reconstruction")


@pytest.fixture
def codec() -> Variant:
    return registry.variant(str(FILE))


def found(variant: Variant, load: Callable[[], Tokenizer] | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in check(variant, load or (lambda: variant.load(variant.spec)))}


def test_a_decoder_of_twenty_lines_that_draws_keeps_the_contract(codec: Variant) -> None:
    kept = found(codec)
    assert not [finding for finding in kept.values() if finding.outcome == "fail"]
    assert kept["seeds"].outcome == kept["deterministic"].outcome == kept["batch"].outcome == "pass"


def test_check_finds_noise_that_ignores_the_seed_or_is_drawn_for_the_whole_batch(codec: Variant) -> None:
    class Deaf(NoiseCodec):
        def decode(self, codes: Tensor, seeds: Sequence[int] = ()) -> Tensor:
            return super().decode(codes, [7] * len(codes))

    class Together(NoiseCodec):
        def decode(self, codes: Tensor, seeds: Sequence[int] = ()) -> Tensor:
            return super().decode(codes, [sum(seeds)] * len(codes))

    class Global(NoiseCodec):
        def decode(self, codes: Tensor, seeds: Sequence[int] = ()) -> Tensor:
            return super().decode(codes, [int(torch.randint(2**31, ())) for _ in seeds])

    def failed(kind: type[NoiseCodec]) -> set[str]:
        return {name for name, finding in found(codec, lambda: kind(codec.spec)).items() if finding.outcome == "fail"}

    assert failed(Deaf) == {"seeds"}
    assert failed(Together) == {"batch"}
    assert {"deterministic", "batch", "codes_only"} <= failed(Global)


class Live:
    """The example as a stream: noise is drawn frame by frame."""

    spec = Spec("live", "v", 8_000, (Codebook(64, 100),), causal=True, sampled=True)

    def encode(self, wav: Tensor) -> Tensor:
        frames = torch.nn.functional.pad(wav, (0, -wav.shape[-1] % 80)).unflatten(-1, (-1, 80))
        return (frames.square().mean(-1).sqrt() * 63).round().long().clamp(0, 63)

    def decode(self, codes: Tensor, seeds: Sequence[int] = ()) -> Tensor:
        return LiveDecoder(seeds or [0] * len(codes)).feed(codes)

    def stream_encoder(self) -> Stream:
        return LiveEncoder(self)

    def stream_decoder(self, seeds: Sequence[int] = (5,)) -> Stream:
        return LiveDecoder(seeds)


class LiveEncoder:
    def __init__(self, codec: Live):
        self.codec, self.kept = codec, torch.zeros(1, 1, 0)

    def feed(self, chunk: Tensor) -> Tensor:
        whole = torch.cat([self.kept, chunk], dim=-1)
        ready = whole.shape[-1] // 80 * 80
        self.kept = whole[..., ready:]
        return self.codec.encode(whole[..., :ready])

    def flush(self) -> Tensor:
        return self.codec.encode(self.kept)


class LiveDecoder:
    def __init__(self, seeds: Sequence[int]):
        self.noise = Noise(seeds, len(seeds))

    def feed(self, chunk: Tensor) -> Tensor:
        drawn = [self.noise.normal(1, 80, like=torch.zeros(())) * chunk[..., i : i + 1] / 63 for i in range(chunk.shape[-1])]
        return torch.cat([torch.zeros(len(chunk), 1, 0), *drawn], dim=-1)

    def flush(self) -> Tensor:
        return torch.zeros(1, 1, 0)


def test_a_stream_draws_by_the_same_seed() -> None:
    variant = Variant(Live.spec, lambda spec: Live())
    assert found(variant)["streaming"].outcome == "pass"

    class OfItsOwn(Live):
        def stream_decoder(self, seeds: Sequence[int] = (5,)) -> Stream:
            return LiveDecoder([3])

    assert found(variant, OfItsOwn)["streaming"].outcome == "fail"


def test_a_clips_seed_is_its_own_in_batches_alone_and_in_trials(codec: Variant, make_data: Callable[..., Path]) -> None:
    clips = open_data(str(make_data(4))).clips

    def heard(seed: int, batch: int = 0) -> dict[str, Tensor]:
        items = reconstructions(codec.spec, lambda: codec.load(codec.spec), clips, batch=batch, seed=seed)
        return {item.clip.id: item.est.wav for item in items}

    alone, together, other = heard(3), heard(3, batch=4), heard(4)
    for clip in clips:
        assert torch.equal(alone[clip.id], together[clip.id])
        assert not torch.equal(alone[clip.id], other[clip.id])
    tried = trials(
        codec.spec, lambda: codec.load(codec.spec), clips, lambda code, given: [code(given.wav[None], True, n).est for n in (0, 1)], seed=3
    )
    for trial in tried:
        assert trial.result is not None
        assert torch.equal(trial.result[0][0], alone[trial.clip.id]) and not torch.equal(trial.result[1][0], alone[trial.clip.id])
    assert 0 <= calls.seed_of(3, clips[0].sha256) < 2**32


def once(codec: Variant, data: Path, results: Path, seed: int, saved: Path | None = None) -> Run:
    return next(iter(run([codec], SUITE, open_data(str(data)), Options(results, workers=1, seed=seed, save_audio=saved))))


def test_seeds_are_runs_of_their_own_that_can_be_compared_and_resumed(
    codec: Variant, make_data: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, results = make_data(2, seconds=0.6), tmp_path / "r"
    first, second = (once(codec, data, results, seed, tmp_path / "a") for seed in (1, 0))
    assert first.folder != second.folder
    assert main(["compare", str(first.folder), str(second.folder), "--columns", "snr", "--format", "csv"]) == 0
    said = capsys.readouterr().out
    assert "noise_codec@v (seed 0)" in said and "noise_codec@v (seed 1)" in said
    a, b = (plain(reader.read(done.folder)) for done in (first, second))
    assert reader.unlike(a, b, any_seed=True) == reader.unlike(a, b) == ["seed (1 and 0)"]  # who draws nothing has one run of both
    a, b = (reader.read(done.folder) for done in (first, second))
    assert not reader.unlike(a, b, any_seed=True) and reader.unlike(a, b) == ["seed (1 and 0)"]  # boards and the gate want one seed

    rows, wav = second.folder / "rows.csv", tmp_path / "a" / "noise_codec@v" / "clip1.wav"
    whole, audio = rows.read_text(), soundfile.read(wav)[0]
    rows.write_text("".join(line for line in whole.splitlines(True) if not line.startswith(("clip1,", "*,"))))
    again = once(codec, data, results, 0, tmp_path / "b")
    assert again.fresh_clips == 1 and rows.read_text() == whole
    heard = soundfile.read(tmp_path / "b" / "noise_codec@v" / "clip1.wav")[0]
    assert np.array_equal(heard, audio) and np.abs(audio).max() > 0


def plain(run: Kept) -> Kept:
    """The run as of a tokenizer that draws nothing."""
    tokenizer = {key: value for key, value in run.tokenizer.items() if key != "sampled"}
    return replace(run, record={**run.record, "identity": {**run.identity, "tokenizer": tokenizer}})


def test_the_key_of_a_tokenizer_that_draws_nothing_is_as_it_was(codec: Variant, make_data: Callable[..., Path]) -> None:
    data = open_data(str(make_data(1)))
    plain = identity(replace(codec, spec=replace(codec.spec, sampled=False)), SUITE, data, Options())["tokenizer"]
    drawn = identity(codec, SUITE, data, Options())["tokenizer"]
    assert isinstance(drawn, dict) and isinstance(plain, dict) and "sampled" not in plain
    assert drawn == plain | {"sampled": True}


def test_from_python_a_seed_is_an_argument(codec: Variant) -> None:
    loaded = bench.load_tokenizer(str(FILE))
    codes = loaded.encode(torch.rand(2, 800) - 0.5, 8_000)
    wav, _ = loaded.decode(codes)
    assert torch.equal(wav, loaded.decode(codes, seed=0)[0]) and not torch.equal(wav, loaded.decode(codes, seed=1)[0])
    assert torch.equal(loaded.decode(codes[:1], seed=1)[0], loaded.decode(codes.expand(2, -1, -1)[:1], seed=1)[0])


def test_show_says_that_it_draws(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(FILE)]) == 0
    assert "drawn" in capsys.readouterr().out
    assert main(["show", "snac@tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sampled"] is True
