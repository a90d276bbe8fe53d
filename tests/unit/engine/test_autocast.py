"""Half precision as a choice of a run: what is lowered, what is told of it, and what refuses."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor, nn

from bench import registry
from bench.api import Codebook, Spec, Variant
from bench.cli import main
from bench.data.manifests import open_data
from bench.engine.autocast import lowered, same_codes
from bench.engine.run import Options, Run, run
from bench.records.writer import Store
from bench.report import tables
from bench.tokens.codes import agreement

RATE, HOP = 16_000, 160


class Projected(nn.Module):
    """The mean of each frame, by a product that autocast lowers, in steps that bfloat16 cannot tell apart."""

    seen: list[torch.dtype] = []

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec, self.mean = spec, nn.Linear(HOP, 1, bias=False)
        nn.init.constant_(self.mean.weight, 1 / HOP)

    @torch.inference_mode()
    def encode(self, wav: Tensor) -> Tensor:
        means = self.mean(wav.unfold(-1, HOP, HOP))[..., 0]
        self.seen.append(means.dtype)
        return (means.float() * 20_000 + 32_768).round().long().clamp(0, 65_535)

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        wav = self.mean(((codes - 32_768) / 20_000).unsqueeze(-1).expand(-1, -1, -1, HOP))
        self.seen.append(wav.dtype)
        return wav.expand(-1, -1, -1, HOP).flatten(-2)


TOY = Variant(Spec("toy", "v", RATE, (Codebook(65_536, RATE / HOP),), causal=True), Projected)


def made(data: Path, results: Path, variant: Variant) -> Run:
    suite = registry.load_suite("reconstruction")
    (done,) = run([variant], suite, open_data(str(data)), Options(results, workers=1))
    return done


def test_of_float32_a_variant_is_itself() -> None:
    assert lowered(TOY, "float32") is TOY


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_encode_and_decode_run_in_that_precision_and_audio_comes_back_in_single(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Projected, "seen", [])
    variant = lowered(TOY, dtype)
    tokenizer = registry.load_tokenizer(variant)
    wav = 0.1 * torch.randn(1, 1, 10 * HOP, generator=torch.Generator().manual_seed(0))
    audio = tokenizer.decode(tokenizer.encode(wav))
    assert set(Projected.seen) == {getattr(torch, dtype)} and audio.dtype == torch.float32
    assert tokenizer.spec == variant.spec and variant.spec.label == f"toy@v-{dtype}"
    assert variant.exact is TOY and not torch.is_autocast_enabled("cpu")


def test_the_share_of_equal_codes_is_in_the_record_and_below_the_table(make_data: Callable[..., Path], tmp_path: Path) -> None:
    path, variant = make_data(), lowered(TOY, "bfloat16")
    done = made(path, tmp_path / "results", variant)
    exact, less = registry.load_tokenizer(TOY), registry.load_tokenizer(variant)

    equal = total = 0.0  # the clips are at the tokenizer's own rate
    for clip in done.data.clips:
        wav = torch.from_numpy(soundfile.read(clip.path, dtype="float32")[0])[None, None]
        codes = exact.encode(wav)
        equal, total = equal + agreement(less.encode(wav), codes) * codes.numel(), total + codes.numel()
    assert 0 < equal < total
    assert json.loads((done.folder / "run.json").read_text())["same_codes"] == pytest.approx(equal / total, abs=1e-12)
    assert f"toy@v-bfloat16: {100 * equal / total:.2f} % of codes identical to float32" in tables.notes([done])
    plain = made(path, tmp_path / "results", TOY)
    assert plain.folder != done.folder and plain.same_codes is None and "same_codes" not in (plain.folder / "run.json").read_text()


def test_a_finished_run_does_not_compare_again(make_data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, variant = make_data(), lowered(TOY, "bfloat16")
    first = made(path, tmp_path, variant)
    monkeypatch.setattr("bench.engine.run.same_codes", lambda *_: pytest.fail("compared again"))
    assert made(path, tmp_path, variant).same_codes == first.same_codes


def test_where_nothing_can_be_compared_the_share_is_nan_and_json_stays_json(make_data: Callable[..., Path], tmp_path: Path) -> None:
    class Failing(Projected):
        def encode(self, wav: Tensor) -> Tensor:
            raise RuntimeError("no")

    load = lambda: Failing(TOY.spec)  # noqa: E731
    share = same_codes(TOY.spec, load, load, open_data(str(make_data())).clips, "cpu")
    assert math.isnan(share)
    store = Store(tmp_path, "toy", "a", {}, {})
    assert store.noted("same_codes") is None
    store.note("same_codes", share)
    assert json.loads((store.folder / "run.json").read_text(), parse_constant=pytest.fail)["same_codes"] is None
    assert math.isnan(store.noted("same_codes") or 0.0)


def test_at_most_sixteen_clips_are_compared_spread_over_all(make_data: Callable[..., Path]) -> None:
    clips, seen = open_data(str(make_data(40, seconds=0.2))).clips, []

    class Counting(Projected):
        def encode(self, wav: Tensor) -> Tensor:
            seen.append(wav.shape[-1])
            return super().encode(wav)

    load = lambda: Counting(TOY.spec)  # noqa: E731
    assert same_codes(TOY.spec, load, load, clips, "cpu") == 1.0
    assert len(seen) == 32 and max(seen) > 3 * RATE  # the clips grow by 0.1 s each, in both precisions


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--tokenizer opus@6kbps", "opus@6kbps has no layers of torch, and so no other precision: leave --dtype out"),
        ("--tokenizer mimi --suite throughput", "has precisions among its points: ask for --sweep 'dtype=bfloat16', not --dtype"),
    ],
)
def test_a_wrong_word_is_one_line_and_leaves_no_trace(tmp_path: Path, capfd: pytest.CaptureFixture[str], words: str, message: str) -> None:
    assert main(["run", *words.split(), "--dtype", "bfloat16", "--results", str(tmp_path / "r")]) == 2
    printed = capfd.readouterr()
    assert not printed.out and printed.err.count("\n") == 1 and message in printed.err and not (tmp_path / "r").exists()
