"""The throughput suite by the whole engine: who has which columns, what is skipped and why, what a stopped run goes on from, where."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench import registry
from bench.api import Clip, Codebook, Score, Spec, Suite, UserError, Variant
from bench.compare.lines import compare
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.gate.regressions import refuse
from bench.records import hardware, reader
from bench.report import describe, tables, writers
from bench.throughput import measure, streaming, table, timing
from bench.throughput.inputs import Material, material
from bench.throughput.measure import Measured, Stopwatch
from bench.throughput.sweep import Point

NO_CUDA = "no CUDA device on this machine"
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_CUDA)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two repeats of everything."""
    monkeypatch.setattr(measure, "timed", partial(timing.timed, least=2, most=2))
    monkeypatch.setattr(streaming, "SHARE", 2)


def suite(sweep: str = "batch=1,2 seconds=0.5,1") -> Suite:
    found = registry.load_suite("throughput")
    assert found.with_sweep is not None
    return found.with_sweep(sweep)


@dataclass(frozen=True)
class Ran:
    run: Run
    figures: dict[str, Score]  # of the speech, by column


@pytest.fixture
def ran(make_data: Callable[..., Path], tmp_path: Path) -> Callable[..., Ran]:
    manifest = make_data(3)

    def go(variant: Variant | str, sweep: str = "batch=1,2 seconds=0.5,1", **options) -> Ran:
        chosen = registry.variant(variant) if isinstance(variant, str) else variant
        (found,) = run([chosen], suite(sweep), open_data(str(manifest)), Options(tmp_path / "results", **options))
        rows = {row.metric: Score(row.value, note=row.note) for row in found.rows if row.clip == "*" and row.domain == "speech"}
        return Ran(found, rows)

    return go


def test_a_streaming_codec_has_every_figure_that_a_cpu_can_give(ran: Callable[..., Ran]) -> None:
    figures = ran("mimi@tiny").figures
    on_gpu = {"peak_gpu_mem_mb", "encode_wh_per_audio_hour", "decode_wh_per_audio_hour"}
    assert {metric.name for metric in suite().metrics if metric.per == "corpus"} - on_gpu == set(figures)
    assert [name for name, score in figures.items() if not math.isfinite(score.value)] == ["load_s"]  # its weights are drawn
    for side in ("encode", "decode"):
        assert figures[f"rtfx_{side}_p5"].value <= figures[f"rtfx_{side}"].value <= figures[f"rtfx_{side}_p95"].value
        assert figures[f"latency_{side}_p50_ms"].value <= figures[f"latency_{side}_p95_ms"].value
    assert figures["frame_rate"].value == 12.5 and figures["stream_hop_ms"].value == 80
    assert figures["kbps_nominal"].value == pytest.approx(4 * 6 * 12.5 / 1000)


def test_an_hour_of_a_core_is_what_the_best_point_gives(ran: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    found = ran("mimi@tiny")
    swept = table.read(found.run.folder)
    best = max(table.plain(swept, "encode"), key=lambda m: m.rtfx)
    assert found.figures["encode_hours_per_device_hour"].value == pytest.approx(best.rtfx / torch.get_num_threads())
    assert found.figures["encode_tokens_per_s"].value == pytest.approx(best.tokens / best.median)
    assert f"{best.point.batch} x {best.point.seconds:g} s" in found.figures["encode_hours_per_device_hour"].note
    usual = next(m for m in swept[Point(1, 1.0)] if m.side == "decode")
    assert found.figures["rtfx_decode"].value == usual.rtfx  # the longest here is nearest to 10 s


def test_one_that_only_encodes_has_no_decode_columns(ran: Callable[..., Ran]) -> None:
    found = ran("mfcc_kmeans@tiny")
    assert not [name for name in found.figures if "decode" in name or "stream" in name]
    assert math.isfinite(found.figures["rtfx_encode"].value)
    assert all(len(sides) == 1 for sides in table.read(found.run.folder).values())


def test_a_codec_without_layers_says_so_where_they_would_be_counted(ran: Callable[..., Ran]) -> None:
    found = ran("opus@6kbps", "batch=1 seconds=1 dtype=bfloat16 mode=compiled")
    for name in ("parameters_m", "encode_gmac_per_s", "decode_gmac_per_s"):
        assert math.isnan(found.figures[name].value) and "not computed by torch layers" in found.figures[name].note
    assert math.isnan(found.figures["frame_rate"].value) and found.figures["frame_rate"].note
    skipped = [m for sides in table.read(found.run.folder).values() for m in sides if not m.point.plain]
    assert len(skipped) == 6 and all("not computed by torch layers" in m.note for m in skipped)


def test_what_is_skipped_stands_in_the_table_with_its_reason(ran: Callable[..., Ran]) -> None:
    found = ran("mimi@tiny", "batch=1 seconds=1 mode=graph").run
    if torch.cuda.is_available():
        pytest.skip("here is a GPU, which has graphs")
    (_, header, lines) = tables.all_grids([found], 200)[-1]
    assert [line[-1] for line in lines if "graph" in line] == ["a CUDA graph needs a GPU"]
    assert any(found.machine in note for note in tables.notes([found]))


def test_another_precision_has_its_share_of_equal_codes(ran: Callable[..., Ran]) -> None:
    swept = table.read(ran("mimi@tiny", "batch=1 seconds=1 dtype=bfloat16").run.folder)
    (encode, decode) = swept[Point(1, 1.0, "bfloat16")]
    if "wrongly in bfloat16" in encode.note:  # as on processors with AMX
        assert math.isnan(encode.median) and math.isnan(decode.median) and "ONEDNN_MAX_CPU_ISA" in encode.note
        return
    assert 0.3 < encode.equal < 1.0 and not encode.note  # the tiny codebooks are coarse: some codes move, not most
    assert math.isnan(decode.equal) and math.isfinite(decode.median)
    assert all(math.isnan(m.equal) for m in swept[Point(1, 1.0)])


class Slow(nn.Module):
    """Counts its calls; fails from `fatal` clips at once on."""

    calls = 0
    fatal = 99

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec = spec

    def encode(self, wav: Tensor) -> Tensor:
        Slow.calls += 1
        if len(wav) >= Slow.fatal:
            raise RuntimeError("it is all\ntoo much")
        return (wav[..., ::160] * 100 + 128).round().long().clamp(0, 255)

    def decode(self, codes: Tensor) -> Tensor:
        return ((codes - 128) / 100).repeat_interleave(160, dim=-1)


TOY = Variant(Spec("toy", "v", 16_000, (Codebook(256, 100.0),), causal=True), Slow)


def test_a_finished_run_answers_without_a_call_and_a_stopped_one_keeps_its_points(
    ran: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ran(TOY)
    before, Slow.calls = Slow.calls, 0
    assert ran(TOY).figures == first.figures and Slow.calls == 0
    swept = (first.run.folder / table.FILE).read_text()
    header = (first.run.folder / "rows.csv").read_text().splitlines()[0]
    (first.run.folder / "rows.csv").write_text(header + "\n")
    (first.run.folder / table.FILE).write_text("".join(swept.splitlines(keepends=True)[:5]))  # two of the four points
    again = ran(TOY)
    assert (again.run.folder / table.FILE).read_text().startswith("".join(swept.splitlines(keepends=True)[:5]))
    assert len(table.read(again.run.folder)) == 4 and 0 < Slow.calls < before
    fresh = ran(TOY, fresh=True)
    assert (fresh.run.folder / table.FILE).read_text().splitlines()[1] != swept.splitlines()[1]


def test_a_point_that_fails_costs_that_point(ran: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slow, "fatal", 4)
    found = ran(TOY, "batch=1,max seconds=1")
    swept = table.read(found.run.folder)
    assert [point.batch for point in swept] == [1, 2, 4]  # and no further
    assert [m.note for m in swept[Point(4, 1.0)]] == ["tokenizer failed: RuntimeError: it is all too much"] * 2
    assert math.isfinite(found.figures["rtfx_encode"].value)


def test_a_compiler_that_fails_costs_its_points_and_leaves_the_others_alone(
    ran: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()

    def compiler(function: Callable, **_: object) -> Callable:
        def broken(x: Tensor) -> Tensor:
            threads.add(threading.get_ident())
            raise ValueError("no such instruction")

        return broken

    monkeypatch.setattr(torch, "compile", compiler)
    found = ran(TOY, "batch=1 seconds=1 mode=compiled")
    (encode, decode) = table.read(found.run.folder)[Point(1, 1.0, "float32", "compiled")]
    assert encode.note == decode.note == "ValueError: no such instruction"
    assert threading.get_ident() not in threads  # what it broke in torch, it broke for a thread that is gone


@pytest.mark.parametrize("side", ["encode", "decode"])
@pytest.mark.parametrize(
    "name",
    [
        "encodec@tiny",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mimi@tiny", "encodec@tiny_stereo", "dac@tiny", "wavtokenizer@tiny", "hubert_kmeans@tiny")
        ),
    ],
)
def test_a_compiler_can_follow_the_reference_codecs(name: str, side: str) -> None:
    tokenizer = registry.load_tokenizer(name)
    if side == "decode" and not tokenizer.spec.decodes:
        pytest.skip(f"{name} gives tokens only")
    wav = 0.1 * torch.randn(1, tokenizer.spec.channels, 9600, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():  # as the suite calls it
        given, function = ((wav,), tokenizer.encode) if side == "encode" else (tokenizer.encode(wav), tokenizer.decode)
        given = given if isinstance(given, tuple) else (given,)  # codes, and side codes where there are some
        compiled = torch.compile(function, backend="aot_eager", dynamic=False)
        torch.testing.assert_close(compiled(*given), function(*given), rtol=0, atol=1e-4)
    torch.compiler.reset()


def stopwatch(limit: float = 120.0) -> Stopwatch:
    return Stopwatch(Slow(TOY.spec), "cpu", Material(torch.randn(1, 16_000) / 9, 16_000, "speech"), limit, 0.0)


def test_what_would_take_too_long_or_too_much_memory_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = stopwatch(limit=10.0)
    watch.pace = 0.1
    (encode, decode) = watch.measure(Point(8, 10.0))
    assert encode.note == decode.note == "would take about 56 s, the limit is 10 s"
    watch = stopwatch()
    monkeypatch.setattr(measure.memory, "available", lambda: 8.0 * 2**30)
    watch.grown = {0.5: 2.0**30, 8.0: 0.8 * 2**30, 10.0: 1.0 * 2**30}  # of half a second, most is not for the audio
    assert watch.measure(Point(8, 10.0))[0].note == "would need about 8.0 GiB, 8.0 GiB are left"
    assert watch.measure(Point(1, 10.0))[0].note == ""


def test_batches_are_cut_from_different_places_of_the_clips(make_data: Callable[..., Path]) -> None:
    clips = open_data(str(make_data(3))).clips
    found = material(clips, TOY.spec)
    assert found.domain == "speech" and found.wav.shape == (1, 16_000 * 31 // 10)  # 1.5 s and 1.6 s: the music stays out
    cut = found.cut(4, 10.0)
    assert cut.shape == (4, 1, 160_000)
    assert torch.equal(cut[0, :, : found.wav.shape[1]], found.wav) and not torch.equal(cut[0], cut[1])
    music: list[Clip] = [replace(clip, domain="music") for clip in clips]
    assert material(music, TOY.spec).domain == "music"


def test_random_weights_are_drawn_so_there_is_no_load_time(ran: Callable[..., Ran]) -> None:
    found = ran(replace(TOY, spec=replace(TOY.spec, weights="seed:0"))).figures["load_s"]
    assert math.isnan(found.value) and found.note == "random weights: nothing to load"
    assert ran(TOY).figures["load_s"].value >= 0


def test_timing_wants_to_be_alone(ran: Callable[..., Ran]) -> None:
    with pytest.raises(UserError, match="--workers"):
        ran(TOY, workers=2)


def test_machines_do_not_share_a_folder_and_are_named_side_by_side(ran: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    here = ran(TOY)
    speed = hardware.speed("cpu")
    monkeypatch.setattr(hardware, "speed", lambda device: speed | {"processor": "Abacus 3000"})
    there = ran(TOY)
    assert here.run.folder != there.run.folder
    one, two = (reader.read(found.run.folder) for found in (here, there))
    assert one.fingerprint == two.fingerprint  # they may stand side by side
    first, second = reader.names([one, two])
    assert str(speed["processor"]) in first and "Abacus 3000" in second
    assert reader.names([one]) == ["toy@v"]
    below = writers.notes(compare([one, two]), [], [])
    assert f"timed on {one.machine}" in below and f"timed on {two.machine}" in below
    with pytest.raises(UserError, match="Abacus 3000"):
        refuse(one, two)
    assert {"threads", "torch", "processor", "cores", "clocks"} <= two.record["machine"].keys()


def test_peak_memory_is_that_of_the_call() -> None:
    if not measure.memory.RESET.exists():
        pytest.skip("this system does not report a process's peak memory")

    class Hungry(Slow):
        def encode(self, wav: Tensor) -> Tensor:
            torch.ones(50_000_000)  # 200 MB
            return super().encode(wav)

    watch = stopwatch()
    watch.before = measure.memory.settled()
    modest = watch.measure(Point(1, 1.0))[0].host
    watch.tokenizer = Hungry(TOY.spec)
    assert watch.measure(Point(1, 1.0))[0].host == pytest.approx(modest + 200e6, abs=30e6)


def test_what_a_first_call_leaves_behind_is_not_needed_again_for_every_second() -> None:
    class Arranging(Slow):
        """As a codec that keeps its weights in the order in which its kernels want them."""

        kept: Tensor | None = None

        def decode(self, codes: Tensor) -> Tensor:
            if self.kept is None:
                self.kept = torch.ones(50_000_000)  # 200 MB
            return super().decode(codes)

    watch = stopwatch()
    watch.tokenizer = Arranging(TOY.spec)
    _, decode = watch.measure(Point(1, 1.0))
    assert decode.host > 190e6  # it is held, and told
    assert watch.grown[1.0] < 50e6


def test_repeats_go_on_until_there_are_enough_or_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for taken, repeats in ((0.01, 50), (0.5, 6), (4.0, 5)):
        monkeypatch.setattr(timing, "once", lambda call, device, taken=taken: taken)
        assert len(timing.timed(lambda: None, "cpu").seconds) == repeats


@cuda
@pytest.mark.cuda
def test_on_a_gpu_a_graph_gives_the_same_codes_and_memory_is_told(ran: Callable[..., Ran]) -> None:
    found = ran("mimi@tiny", "batch=1,2 seconds=1 mode=graph dtype=bfloat16", device="cuda")
    swept = table.read(found.run.folder)
    assert swept[Point(2, 1.0)][0].device > 0 and found.figures["peak_gpu_mem_mb"].value > 0
    graph: list[Measured] = swept[Point(2, 1.0, "float32", "graph")]
    assert graph[0].equal > 0.99 or graph[0].note


def test_show_tells_the_speed_of_every_machine(ran: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variant = registry.variant("mulaw")
    assert describe.speed(variant, tmp_path / "results") == {"speed": "not measured: bench run --suite throughput --tokenizer mulaw@8bit"}
    ran("mulaw")
    (line,) = describe.speed(variant, tmp_path / "results").values()
    assert "h of audio encoded and" in line and "per CPU-core-hour" in line and line.endswith(reader.place(hardware.speed("cpu")))
    speed = hardware.speed("cpu")
    monkeypatch.setattr(hardware, "speed", lambda device: speed | {"processor": "Abacus 3000"})
    ran("mulaw")
    assert list(describe.speed(variant, tmp_path / "results")) == ["speed", "speed 2"]
    other = replace(variant, spec=replace(variant.spec, weights="sha256:" + "0" * 64))
    assert "not measured" in describe.speed(other, tmp_path / "results")["speed"]


def test_show_tells_what_was_timed_with_random_weights(ran: Callable[..., Ran], tmp_path: Path) -> None:
    tiny = registry.variant("mimi@tiny")
    ran(tiny)
    longer = replace(tiny, spec=replace(tiny.spec, variant="tiny-2cb"))  # a folder whose name begins alike
    (before,) = describe.speed(tiny, tmp_path / "results").values()
    ran(longer)
    assert list(describe.speed(tiny, tmp_path / "results").values()) == [before]
    trained = replace(tiny, spec=replace(tiny.spec, weights="sha256:" + "0" * 64))
    for variant, end in ((tiny, reader.place(hardware.speed("cpu"))), (trained, ", with random weights")):
        (line,) = describe.speed(variant, tmp_path / "results").values()
        assert "tokens/s encoded" in line and line.endswith(end)
