"""The command line as people use it: real processes, right and wrong words, kills, two at once, and files no codec could want."""

import csv
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import soundfile
import torch

from bench import registry
from bench.api import UserError
from tests.conftest import ROOT, speech_like

CODEC = """
import time
import torch
from bench.api import Codebook, Spec, Variant

class Slow:
    def __init__(self, spec):
        self.spec = spec
    def encode(self, wav):
        time.sleep({nap})
        return ((wav.clamp(-1, 1) + 1) * 127.5).round().long()
    def decode(self, codes):
        return codes / 127.5 - 1

VARIANTS = {{"v": Variant(Spec("slow", "v", 16_000, (Codebook(256, 16_000),), causal=True), Slow)}}
"""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bench", *map(str, arguments)]


def bench(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=cwd, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def table(done: subprocess.CompletedProcess[str]) -> dict[tuple[str, str, str], dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return {(line["tokenizer"], line["domain"], line["metric"]): line for line in csv.DictReader(io.StringIO(done.stdout))}


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.py"
    path.write_text(CODEC.format(nap=0.3))
    return path


def test_help_waits_for_no_heavy_import() -> None:
    script = (
        "import sys, bench.cli\ntry: bench.cli.main(['run', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'rich', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]" and "--tokenizer" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--tokenizer", "mimmi"), "did you mean 'mimi"),
        (("run", "--tokenizer", "mimi@24k"), "did you mean 'mimi@24khz'"),
        (("run", "--tokenizer", "identity", "--suite", "reconstructoin"), "did you mean 'reconstruction'? Known:"),
        (("run", "--tokenizer", "identity", "--suite", "codes,reconstructoin"), "did you mean 'reconstruction'? Known:"),
        (("run", "--tokenizer", "identity,opsu"), "no tokenizer is called 'opsu': did you mean 'opus'?"),
        (("run", "--tokenizer", "kyutai/mimmi"), "did you mean 'kyutai/mimi'?"),
        (("run", "--tokenizer", "identity", "--asr-model", "base.en"), "--asr-model belongs to --suite asr or swap, not to reconstruction"),
        (("run", "--tokenizer", "identity", "--suite", "speaker", "--speaker-model", "resembler"), "did you mean 'resemblyzer'?"),
        (("run", "--tokenizer", "identity", "--sweep", "small"), "--sweep belongs to --suite throughput"),
        (("run", "--tokenizer", "identity", "--lm-options", "delayed"), "--lm-options belongs to --suite lm"),
        (("run", "--tokenizer", "identity", "--suite", "lm", "--lm-options", "delayd"), "did you mean 'delayed'?"),
        (("run", "--tokenizer", "identity", "--format", "jsn"), "(see bench run --help)"),
        (("run", "--tokenizer", "identity", "--lmit", "3"), "unknown flag --lmit: did you mean '--limit'? (see bench run --help)"),
        (("run", "--tokenzier", "identity"), "unknown flag --tokenzier: did you mean '--tokenizer'? (see bench run --help)"),
        (("compare", "identity", "mulaw", "--qqqq=3"), "unknown flag --qqqq (see bench compare --help)"),
        (("compare", "identity", "mulaw", "-q", "-7"), "unknown words: -7 (see bench compare --help)"),
        (("run", "--tokenizer", "identity", "--columns", "stoi,pesq_wd"), "did you mean 'pesq_wb'"),
        (("run", "--tokenizer", "identity", "--data", "nowhere"), "no data called 'nowhere'"),
        (("run", "--tokenizer", "./nowhere.py"), "no tokenizer file nowhere.py"),
        (("run", "--tokenizer", "identity", "--limit", "0"), "must be a positive integer or a share as 10%, not '0'"),
        (("run", "--tokenizer", "identity", "--device", "cuda:77"), "device 'cuda:77' cannot be used"),
        (("run", "--tokenizer", "identity", "--device", "toaster"), "device 'toaster' cannot be used: give cpu, cuda, cuda:N"),
        (("run", "--tokenizer", "identity", "--weights", "x.safetensors"), "takes no weights"),
        (
            ("run", "--tokenizer", "identity", "--limit", "1", "--results", "R", "--save-audio", "/dev/null/x"),
            "/dev/null/x: audio cannot be saved",
        ),
        (("run", "--tokenizer", "identity", "--results", "/dev/null/x"), "/dev/null/x/reconstruction/"),
        (
            ("run", "--tokenizer", "mfcc_kmeans@tiny", "--suite", "codes", "--save-audio", "heard"),
            "no audio to save: leave --save-audio out",
        ),
        (("run",), "--tokenizer"),
        (("rnu",), "invalid choice: 'rnu': did you mean 'run'? (choose from 'run'"),
        (("data", "prpare"), "invalid choice: 'prpare': did you mean 'prepare'? (choose from 'list'"),
        (("show", "opsu"), "no tokenizer is called 'opsu'"),
        (("list", "codecs"), "invalid choice: 'codecs'"),
    ],
)
def test_a_wrong_word_is_one_line_and_exit_code_2(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = bench(*(word if word != "R" else tmp_path for word in words))
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and message in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nope"),
        ("run", "--tokenizer", "kyutai/mimmi"),
        ("run", "--tokenizer", "mimi", "--suite", "nope"),
        ("run", "--tokenizer", "mimi", "--columns", "nope"),
        ("run", "--tokenizer", "mimi", "--data", "nope"),
        ("run", "--tokenizer", "mimi", "--device", "gpu"),
        ("check", "mimi", "--device", "gpu"),
        ("kmeans", "mfcc_kmeans", "--data", "nope", "--out", "x.safetensors"),
        ("ablate", "--data", "mini", "--out", "x", "--vary", "quantizer=vqq"),
        ("ablate", "--data", "mini", "--out", "x", "--budget", "0"),
        ("train", "nope", "--data", "x", "--out", "y"),
    ],
)
def test_a_wrong_word_is_answered_without_torch(words: tuple[str, ...]) -> None:
    script = f"import sys, bench.cli\ncode = bench.cli.main({list(words)})\nprint(code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "2 False\n" and len(done.stderr) < 700, done.stderr


def test_bench_alone_prints_its_help_and_the_version_is_that_of_the_project() -> None:
    alone, helped, version = bench(), bench("--help"), bench("--version")
    assert (alone.returncode, alone.stdout) == (0, helped.stdout) and "examples:" in alone.stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version.stdout == f"audio-tokenizer-bench {project['version']}\n" and version.returncode == 0


@pytest.mark.parametrize(
    "verb", ["run", "list", "show", "check", "compare", "plot", "gate", "leaderboard", "train", "kmeans", "ablate", "completion"]
)
def test_help_of_every_command_has_examples_whose_flags_exist(verb: str) -> None:
    helped = bench(verb, "--help").stdout
    head, _, examples = helped.partition("examples:")
    lines = [line for line in examples.splitlines() if f"bench {verb}" in line]
    assert lines and all(flag in head for line in lines for flag in re.findall(r"--[a-z-]+", line))


def test_several_suites_run_one_after_the_other(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    words = ("run", "--tokenizer", "mulaw,identity", "--data", make_data(2), "--results", tmp_path / "r")
    done = bench(*words, "--suite", "codes", "--suite", "reconstruction", "--format", "csv")
    found = table(done)
    assert {suite.name for suite in (tmp_path / "r").iterdir()} == {"codes", "reconstruction"}
    assert ("mulaw@8bit", "speech", "stoi") in found and ("identity@float32", "speech", "codebook_utilization") in found
    both = bench(*words, "--suite", "reconstruction,codes", "--columns", "stoi,codebook_utilization").stdout
    assert both.index("stoi ↑") < both.index("codebook_utilization") and "pesq" not in both


def test_all_suites_leave_out_what_cannot_run_and_say_so(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    words = ("run", "--tokenizer", "mfcc_kmeans@tiny", "--suite", "all", "--data", make_data(2), "--results", tmp_path / "r")
    done = bench(*words, "--sweep", "batch=1 seconds=1", "--format", "csv")
    assert done.returncode == 0, done.stderr
    ran = {suite.name for suite in (tmp_path / "r").iterdir()}
    assert "codes" in ran and "reconstruction" not in ran
    assert "left out: suite reconstruction: it needs audio back" in done.stderr


def test_a_pattern_means_the_variants_of_a_file(slow: Path) -> None:
    found = registry.variants([f"{slow}@*", "opus@*"])
    assert [variant.spec.label for variant in found] == ["slow@v", *(f"opus@{rate}kbps" for rate in (6, 8, 9, 12, 16, 24))]
    with pytest.raises(UserError, match="has no variant that 'w.' matches. It has v"):
        registry.variants([f"{slow}@w?"])


def test_a_batch_size_changes_no_score(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    words = ("run", "--tokenizer", "mulaw", "--data", make_data(4), "--format", "csv")
    alone = table(bench(*words, "--results", tmp_path / "a"))
    assert table(bench(*words, "--results", tmp_path / "b", "--batch-size", "3")) == alone


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", "VARIANTS must be a dict"),
        ("VARIANTS = {'v': 3}", "VARIANTS must be a dict"),
        ("import no_such_package", "codec.py:1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("\n\ndef broken(:\n", "codec.py:3: SyntaxError"),
    ],
)
def test_a_codec_file_that_cannot_be_used_is_one_line(tmp_path: Path, code: str, message: str) -> None:
    (tmp_path / "codec.py").write_text(code)
    done = bench("run", "--tokenizer", tmp_path / "codec.py")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and message in done.stderr


def test_a_run_ends_in_a_table_and_a_second_one_finds_its_rows(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    words = (
        "run",
        "--tokenizer",
        "identity",
        "--tokenizer",
        "mulaw",
        "--tokenizer",
        "shuffled",
        "--data",
        make_data(4),
        "--results",
        tmp_path / "r",
    )
    first = table(bench(*words, "--format", "csv"))
    assert float(first["identity@float32", "speech", "pesq_wb"]["mean"]) == pytest.approx(4.644, abs=0.001)
    assert float(first["identity@float32", "speech", "stoi"]["mean"]) == pytest.approx(1, abs=1e-5)
    assert float(first["identity@float32", "music", "mel_dac"]["mean"]) == 0
    assert float(first["shuffled@float32", "speech", "stoi"]["mean"]) < 0.5
    assert first["identity@float32", "speech", "stoi"]["n"] == "3"
    assert ("mulaw@8bit", "music", "stoi") not in first  # absent by design, not missing
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "r").rglob("rows.csv")}
    assert len(files) == 3 and table(bench(*words, "--format", "csv")) == first
    assert {path: path.stat().st_mtime_ns for path in files} == files
    text = bench(*words).stdout
    assert "pesq_wb ↑" in text and "mulaw@8bit" in text and "95 % interval over speakers" in text


def test_several_formats_say_the_same(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    words = ("run", "--tokenizer", "mulaw", "--data", make_data(2), "--results", tmp_path / "r")
    markdown = bench(*words, "--format", "markdown", "--columns", "stoi,mel_l1").stdout
    assert "| metric | speech (n = 2) |" in markdown and "| stoi ↑ |" in markdown and "pesq" not in markdown


def rows_of(results: Path) -> list[dict[str, str]]:
    found = list(results.rglob("rows.csv"))
    return list(csv.DictReader(found[0].open())) if found else []


def wait_for_clips(results: Path, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while sum(row["metric"] == "seconds" for row in rows_of(results)) < count:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)


def test_a_run_that_is_stopped_within_a_codec_ends_in_one_line(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    """Its threads are in torch's code then, where the end of the interpreter would abort the process."""
    words = command("run", "--tokenizer", "encodec@mini", "--data", make_data(8, seconds=15), "--results", tmp_path / "r")
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    wait_for_clips(tmp_path / "r", 1, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    said = errors.splitlines()
    assert all(re.match(r"encodec@mini: \d+ of 8 clips", line) for line in said[:-1]) and "the same command resumes" in said[-1]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, make_data: Callable[..., Path], slow: Path, how: signal.Signals) -> None:
    results, data = tmp_path / "r", make_data(10, seconds=0.6)
    words = command("run", "--tokenizer", slow, "--data", data, "--results", results, "--format", "csv")
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a test run in the background of a shell inherits deafness to it
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    wait_for_clips(results, 3, process)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    if how == signal.SIGINT:
        assert "Traceback" not in errors and "the same command resumes" in errors.splitlines()[-1]
    kept = {row["clip"] for row in rows_of(results) if row["metric"] == "seconds"}
    assert 3 <= len(kept) < 10
    before = [row for row in rows_of(results) if row["clip"] in kept]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert table(done)["slow@v", "speech", "mel_dac"]["n"] == "9"
    after = rows_of(results)
    assert all(row in after for row in before) and len({(r["clip"], r["domain"], r["metric"]) for r in after}) == len(after)
    whole = bench(*words[3:], "--fresh")
    entropy = "slow@v", "speech", "kbps_entropy"
    assert table(whole)[entropy]["mean"] == table(done)[entropy]["mean"]  # pooled over all clips, those before the stop too


def test_two_runs_at_once_do_no_harm(tmp_path: Path, make_data: Callable[..., Path], slow: Path) -> None:
    words = command("run", "--tokenizer", slow, "--data", make_data(6, seconds=0.6), "--results", tmp_path / "r", "--format", "csv")
    both = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    rows = rows_of(tmp_path / "r")
    assert len({(r["clip"], r["domain"], r["metric"]) for r in rows}) == len(rows)
    assert sum(row["metric"] == "seconds" for row in rows) == 6


def test_another_version_of_a_codec_file_never_shares_rows(tmp_path: Path, make_data: Callable[..., Path], slow: Path) -> None:
    words = ("run", "--tokenizer", slow, "--data", make_data(2, seconds=0.6), "--results", tmp_path / "r", "--format", "csv")
    assert bench(*words).returncode == 0
    slow.write_text(slow.read_text().replace("127.5 - 1", "127.5 - 0.9"))
    assert bench(*words).returncode == 0
    assert len(list((tmp_path / "r").rglob("rows.csv"))) == 2


def test_a_limit_counts_clips_of_the_scored_domains_and_may_be_a_share(tmp_path: Path) -> None:
    words = ("run", "--suite", "mcd", "--tokenizer", "mulaw", "--results", tmp_path, "--format", "csv")
    few, share = table(bench(*words, "--limit", "3")), table(bench(*words, "--limit", "25%"))
    assert few["mulaw@8bit", "speech", "mcd"]["n"] == "3" and few["mulaw@8bit", "speech", "mcd"]["low"] in ("", "nan")
    assert share["mulaw@8bit", "speech", "mcd"]["n"] == "6" and share["mulaw@8bit", "speech", "mcd"]["speakers"] == "5"


def test_a_wrong_sha256_stops_the_run_and_loses_nothing(tmp_path: Path, make_data: Callable[..., Path], slow: Path) -> None:
    manifest = make_data(6, seconds=0.6)
    lines = manifest.read_text().splitlines()
    lines[4] = json.dumps(json.loads(lines[4]) | {"sha256": "ab" * 32})
    manifest.write_text("\n".join(lines))
    done = bench("run", "--tokenizer", slow, "--data", manifest, "--results", tmp_path / "r")
    assert done.returncode == 2 and "4.flac: sha256 is" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_files_that_no_codec_could_want_cost_their_own_scores(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    good = speech_like(1.5, 16_000)
    nan = good.clone()
    nan[100] = math.nan
    shapes = {"good": good, "nan": nan, "silent": 0 * good, "one-sample": good[:1], "eight-channels": torch.stack([good] * 8)}
    for name, wav in shapes.items():
        soundfile.write(folder / f"{name}.wav", wav.mT.numpy() if wav.ndim > 1 else wav.numpy(), 16_000, subtype="FLOAT")
    soundfile.write(folder / "192khz.wav", speech_like(1.5, 192_000).numpy(), 192_000, subtype="FLOAT")
    soundfile.write(folder / "no-samples.wav", good[:0].numpy(), 16_000)
    soundfile.write(folder / "too-long.flac", torch.zeros(601 * 8000).numpy(), 8000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "corrupt.flac").write_bytes(b"fLaC" + bytes(range(256)) * 8)
    done = bench("run", "--tokenizer", "resample@16khz", "--data", folder, "--results", tmp_path / "r", "--format", "csv")
    assert table(done)["resample@16khz", "speech", "stoi"]["n"] == "3"
    notes = {(row["clip"], row["metric"]): row["note"] for row in rows_of(tmp_path / "r")}
    values = {(row["clip"], row["metric"]): float(row["value"]) for row in rows_of(tmp_path / "r")}
    for name in ("good.wav", "eight-channels.wav", "192khz.wav"):
        assert values[name, "pesq_wb"] > 4.5, notes[name, "pesq_wb"]
    for name, why in {
        "nan.wav": "holds NaN",
        "no-samples.wav": "holds no samples",
        "too-long.flac": "is more than 600 s long",
        "empty.wav": "cannot be read as audio",
        "corrupt.flac": "cannot be read as audio",
        "silent.wav": "silent",
        "one-sample.wav": "shorter",
    }.items():
        assert math.isnan(values[name, "pesq_wb"]) and why in notes[name, "pesq_wb"]


def test_the_crash_of_pesq_on_many_utterances_costs_that_score_alone(tmp_path: Path) -> None:
    time_ = torch.arange(30 * 16_000) / 16_000
    bursts = 0.1 * torch.randn(len(time_), generator=torch.Generator().manual_seed(0)) * (time_ % 0.5 < 0.25)
    (tmp_path / "odd").mkdir()
    soundfile.write(tmp_path / "odd" / "bursts.wav", bursts.numpy(), 16_000, subtype="FLOAT")
    done = bench("run", "--tokenizer", "mulaw", "--data", tmp_path / "odd", "--results", tmp_path / "r", "--format", "csv")
    assert table(done)["mulaw@8bit", "speech", "stoi"]["n"] == "1"
    rows = {row["metric"]: row for row in rows_of(tmp_path / "r")}
    assert rows["pesq_wb"]["value"] == "nan" and rows["pesq_wb"]["note"] == "worker process died: SIGSEGV"
    assert all(row["value"] != "nan" for name, row in rows.items() if name in ("stoi", "estoi", "mel_dac", "si_sdr", "tokens_per_s"))


def test_audio_is_saved_where_asked_also_from_finished_runs(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    words = ("run", "--tokenizer", "identity", "--data", make_data(2), "--results", tmp_path / "r")
    assert bench(*words).returncode == 0
    assert bench(*words, "--save-audio", tmp_path / "audio").returncode == 0
    original, _ = soundfile.read(tmp_path / "audio" / "original" / "clip0.wav")
    saved, rate = soundfile.read(tmp_path / "audio" / "identity@float32" / "clip0.wav")
    assert rate == 16_000 and (original == saved).all() and abs(saved).max() > 0.01
    page = (tmp_path / "audio" / "index.html").read_text()
    assert "identity@float32" in page and "clip0" in page and "worst of" in page


def test_a_run_that_cannot_start_leaves_no_trace(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    (tmp_path / "gone.py").write_text(
        "from bench.api import *\ndef load(spec): raise UserError('gone needs a package')\n"
        "VARIANTS = {'v': Variant(Spec('gone', 'v', 16_000, (Codebook(2, 50.0),)), load)}\n"
    )
    done = bench("run", "--tokenizer", tmp_path / "gone.py", "--data", make_data(2), "--results", tmp_path / "r")
    assert done.returncode == 2 and done.stderr == "error: gone needs a package\n"
    assert not (tmp_path / "r").exists()


def test_weights_of_ones_own_give_rows_of_their_own(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    done = bench("run", "--tokenizer", "mimi", "--weights", tmp_path / "none.safetensors", "--data", make_data(2))
    assert done.returncode == 2 and "none.safetensors" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("what", ["tokenizers", "suites", "metrics", "data"])
def test_lists_name_what_there_is(what: str) -> None:
    done = bench("list", what)
    assert done.returncode == 0
    assert {"tokenizers": "mimi@mini", "suites": "reconstruction", "metrics": "pesq_wb", "data": "mini"}[what] in done.stdout


def test_show_computes_the_rates() -> None:
    lines = dict(line.split("  ", 1) for line in bench("show", "mimi@24khz").stdout.splitlines())
    facts = {key.strip(): value.strip() for key, value in lines.items()}
    assert (facts["bitrate"], facts["frame rate"], facts["tokens/s"]) == ("1.1 kbps", "12.5 Hz", "100")
    assert facts["codebooks"] == "8 x 2048"
    contexts = "(4k: 40.96 s, 32k: 327.7 s, 128k: 1,311 s)"
    assert facts["flattened"] == f"3,000 positions in 30 s {contexts}, vocabulary 16,384, codebooks from 0, 2,048, 4,096, ..., 14,336"
    assert facts["delayed"].startswith("382 positions in 30 s (4k: 327.1 s") and facts["delayed"].endswith("vocabulary 8 x 2,049")
    assert facts["parallel"].startswith("375 positions in 30 s (4k: 327.7 s") and facts["parallel"].endswith("vocabulary 8 x 2,048")
