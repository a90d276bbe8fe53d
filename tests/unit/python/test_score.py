"""Audio that is there already: pairs by name, the scores of the harness, and what has no partner said."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

import bench
from bench.api import UserError
from bench.cli import main
from bench.data.audio import read_clip, resample
from bench.data.manifests import open_data


@pytest.fixture
def audio(make_data: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path]:
    """A manifest of three clips, and a folder of what mulaw makes of them, as WAV files at 16 kHz."""
    manifest = make_data(3, seconds=1.0)
    codec = bench.load_tokenizer("mulaw")
    (tmp_path / "est").mkdir()
    for clip in open_data(str(manifest)).clips:
        wav, rate = codec.decode(codec.encode(read_clip(clip).wav, 16_000))
        soundfile.write(tmp_path / "est" / clip.path.with_suffix(".wav").name, wav[0].T.numpy(), rate, subtype="FLOAT")
    return manifest, tmp_path / "est"


def _values(results: bench.Results) -> dict[tuple[str, str], float]:
    return {(r.clip, r.metric): r.value for run in results.runs for r in run.rows if r.metric != "seconds"}


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[dict[str, str]], str]:
    code = main(["score", *map(str, words), "--format", "csv", "--workers", "1"])
    out, err = capsys.readouterr()
    return code, list(csv.DictReader(io.StringIO(out))), err


def test_files_get_the_scores_of_the_tokenizer_that_made_them(audio: tuple[Path, Path], tmp_path: Path) -> None:
    ref, est = audio
    scored = bench.score(ref, {"mine": est}, results=tmp_path / "r", workers=1)
    direct = bench.evaluate("mulaw", data=ref, results=tmp_path / "r", workers=1)
    ours, theirs = (_values(r) for r in (scored, direct))
    assert {"pesq_wb", "stoi", "si_sdr", "tail_loss_ms"} <= {metric for _, metric in ours}
    assert not {"kbps_packed", "tokens_per_s", "kbps_entropy"} & {metric for _, metric in ours}
    assert ours == pytest.approx({place: theirs[place] for place in ours}, nan_ok=True)
    assert set(bench.load_results(tmp_path / "r").table().index) == {"mine@audio", "mulaw@8bit"}


def test_pairs_are_made_by_name_without_suffix_and_what_has_no_partner_is_named(
    audio: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ref, est = audio
    (est / "0.wav").rename(est / "stranger.wav")
    code, lines, err = run(capsys, "--ref", ref, "--est", est, "--results", tmp_path / "r")
    assert code == 0 and {line["tokenizer"] for line in lines} == {"est@audio"}
    assert "1 reference file without a partner left out: 0" in err and "1 reconstruction file without a partner left out: stranger" in err


def test_several_folders_are_scored_on_what_all_have(audio: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ref, est = audio
    less = tmp_path / "less"
    less.mkdir()
    wav, _ = soundfile.read(est / "1.wav")
    soundfile.write(less / "1.flac", 0.5 * wav, 16_000)
    code, lines, _ = run(capsys, "--ref", ref, "--est", f"a={est}", "--est", f"b={less}", "--results", tmp_path / "r")
    gains = {line["tokenizer"]: float(line["mean"]) for line in lines if line["metric"] == "gain_db"}
    assert code == 0 and gains["b@audio"] == pytest.approx(gains["a@audio"] - 6.02, abs=0.01)
    assert {line["n"] for line in lines if line["metric"] == "gain_db"} == {"1"}


def test_other_lengths_and_rates_are_handled_and_noted(audio: tuple[Path, Path], tmp_path: Path) -> None:
    ref, est = audio
    clip = read_clip(open_data(str(ref)).clips[0])
    soundfile.write(est / "0.wav", resample(clip.wav, 16_000, 24_000)[0, :12_000].numpy(), 24_000, subtype="FLOAT")
    rows = bench.score(ref, est, results=tmp_path / "r", workers=1).to_dataframe().set_index(["clip", "metric"])
    assert rows.loc[("clip0", "tail_loss_ms"), "value"] == pytest.approx(500, abs=1)
    assert "the reconstruction has 0.500 s, the original 1.000 s: filled up with zeros" in rows.loc[("clip0", "seconds"), "note"]


def test_changed_files_are_scored_again(audio: tuple[Path, Path], tmp_path: Path) -> None:
    ref, est = audio
    before = bench.score(ref, est, results=tmp_path / "r", workers=1)
    wav, _ = soundfile.read(est / "1.wav")
    soundfile.write(est / "1.wav", 0.5 * wav, 16_000)
    after = bench.score(ref, est, results=tmp_path / "r", workers=1)
    assert before.runs[0].key != after.runs[0].key


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--est", "nowhere"), "nowhere: no folder of audio"),
        (("--suite", "codes"), "the codes suite needs codes, and scored audio has none"),
        (("--est", "{est}"), "two folders are called est"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    audio: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str], message: str
) -> None:
    ref, est = audio
    code, _, err = run(capsys, "--ref", ref, "--est", est, "--results", tmp_path / "r", *(word.format(est=est) for word in words))
    assert code == 2 and message in err


def test_folders_that_share_no_name_are_refused(audio: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (audio[1] / "0.wav").rename(tmp_path / "other" / "x.wav")
    with pytest.raises(UserError, match="has the relative name of one in"):
        bench.score(audio[0], tmp_path / "other", results=tmp_path / "r")
