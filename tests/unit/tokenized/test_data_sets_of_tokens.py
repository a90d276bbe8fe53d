"""bench tokenize and bench detokenize: audio that comes back is decode's own, and a run that is killed ends with the same bytes."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import bench
from bench import registry
from bench.cli import main
from bench.data.audio import decode_file, read_clip
from bench.data.manifests import open_data
from bench.engine.codec_stage import reconstructions
from bench.tokenized import shards
from tests.conftest import ROOT

pytest.importorskip("pyarrow")
FOLDER = ROOT / "tests" / "examples"
EXACT = {  # what decode needs besides codes: side codes, a level, noise, durations, pieces, another rate, two channels, bytes
    str(FOLDER / "peak_codec.py"): "parallel",
    str(FOLDER / "even_codec.py"): "flattened",
    str(FOLDER / "runs_codec.py"): "depth",
    str(FOLDER / "short_codec.py"): "flattened",
    str(FOLDER / "wide_codec.py"): "flattened",
    "snac@tiny": "delayed",
    "encodec@tiny_stereo": "one_late",
    "opus@6kbps": "flattened",
    "mimi@tiny": "stages",
    "soundstream@tiny": "bpe",
}


def run(*words: object) -> int:
    return main([*map(str, words), "-q"])


def audio(folder: Path, clip: str) -> torch.Tensor:
    return decode_file((folder / f"{clip}.wav").read_bytes(), clip).wav


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", EXACT, ids=lambda name: Path(name).stem)
def test_audio_that_comes_back_is_what_decode_gives(name: str, make_data: Callable[..., Path], tmp_path: Path) -> None:
    data, out = make_data(3, seconds=1.05), tmp_path / "tokens"
    words = ("tokenize", data, "--tokenizer", name, "--layout", EXACT[name], "--out", out, "--shard", 2, "--seed", 3)
    assert run(*words, *(("--merges", 50) if EXACT[name] == "bpe" else ())) == 0
    assert run("detokenize", out, "--out", tmp_path / "wav") == 0
    variant = registry.variant(name)
    items = list(reconstructions(variant.spec, lambda: registry.load_tokenizer(variant), open_data(str(data)).clips, seed=3))
    assert len(items) == 3 and not any(item.failure for item in items)
    for item in items:
        back = audio(tmp_path / "wav", item.clip.id)
        assert back.shape == item.est.wav.shape and torch.equal(back, item.est.wav)
    row = next(shards.rows(out / "data" / "train-00000-of-00002.parquet"))
    if "short" in name:
        assert row.seams == [[0.9]]  # pieces of 1 s, of which .1 s is context


def test_two_tokenizers_share_a_stream_and_the_one_that_decodes_is_heard(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(2, seconds=1.0)
    for layout in ("flattened", "stages"):
        tokens = bench.tokenize(data, ["hubert_kmeans@tiny", "encodec@tiny"], tmp_path / layout, layout)
        own = {one["name"]: one for one in tokens.vocabulary["made"]["tokenizers"]}
        assert list(own) == ["hubert_kmeans@tiny", "encodec@tiny"]
        written = bench.detokenize(tmp_path / layout, tmp_path / "wav" / layout)
        assert list(written) == ["encodec@tiny"] and len(written["encodec@tiny"]) == 2
        for row, item in zip(tokens.rows(), both(data), strict=True):
            assert list(row.frames) == [item[0].shape[1], item[1].shape[1]]
            units = [stream["size"] for stream in tokens.vocabulary["streams"]][0]
            assert (row.tokens[row.tokens < units] == item[0][0]).all()
    codes = both(data)[0][1]
    wav = registry.load_tokenizer("encodec@tiny").decode(torch.from_numpy(codes)[None])[0].detach()
    back = audio(tmp_path / "wav" / "stages", "clip0")
    assert torch.equal(back, wav[:, : back.shape[-1]])


def both(data: Path) -> list[list[np.ndarray]]:
    """Codes of each clip by both tokenizers."""
    found: dict[str, list[np.ndarray]] = {}
    for name in ("hubert_kmeans@tiny", "encodec@tiny"):
        variant = registry.variant(name)
        load = lambda variant=variant: registry.load_tokenizer(variant)  # noqa: E731
        for item in sorted(reconstructions(variant.spec, load, open_data(str(data)).clips, decode=False), key=lambda i: i.clip.id):
            found.setdefault(item.clip.id, []).append(item.codes.numpy())
    return list(found.values())


def test_a_killed_run_ends_with_the_bytes_of_one_that_was_not(tmp_path: Path) -> None:
    data, killed, whole = tmp_path / "data", tmp_path / "killed", tmp_path / "whole"
    data.mkdir()
    for i in range(24):
        noise = torch.randn(16_000, generator=torch.Generator().manual_seed(i)) / 10
        soundfile.write(data / f"{i:02}.wav", noise.numpy(), 16_000)
    words = ["tokenize", str(data), "--tokenizer", "mimi@tiny,soundstream@tiny", "--shard", "2", "-q", "--out"]
    process = subprocess.Popen([sys.executable, "-m", "bench", *words, str(killed)], cwd=ROOT)
    first, until = killed / "data" / "train-00000-of-00012.parquet", time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    left = {path.name: path.stat().st_mtime_ns for path in (killed / "data").glob("train*")}
    assert 0 < len(left) < 12
    assert run(*words[:-2], "--out", killed) == 0 and run(*words[:-2], "--out", whole) == 0
    assert content(whole) == {name: data for name, data in content(killed).items() if "/." not in name}
    assert all((killed / "data" / name).stat().st_mtime_ns == when for name, when in left.items()), "shards are not made twice"


def test_a_folder_of_another_run_is_refused_and_fresh_begins_anew(
    make_data: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = make_data(2, seconds=0.5), tmp_path / "tokens"
    assert run("tokenize", data, "--tokenizer", "mimi@tiny", "--out", out) == 0
    before = content(out)
    assert run("tokenize", data, "--tokenizer", "soundstream@tiny", "--out", out) == 2
    assert "made otherwise (tokenizers differ)" in capsys.readouterr().err and content(out) == before
    assert run("tokenize", data, "--tokenizer", "soundstream@tiny", "--out", out, "--fresh") == 0
    assert json.loads((out / "vocabulary.json").read_text())["made"]["tokenizers"][0]["name"] == "soundstream@tiny"
    (out / "data" / "train-00000-of-00001.parquet").unlink()
    assert run("detokenize", out, "--out", tmp_path / "wav") == 2
    assert "lacks 1 shards" in capsys.readouterr().err
    assert run("tokenize", data, "--tokenizer", "hubert_kmeans@tiny", "--out", tmp_path / "units") == 0
    assert run("detokenize", tmp_path / "units", "--out", tmp_path / "wav") == 2
    assert "cannot decode" in capsys.readouterr().err
    changed = json.loads((tmp_path / "units" / "vocabulary.json").read_text())
    changed["made"]["tokenizers"][0]["weights"] = "seed:1"
    (tmp_path / "units" / "vocabulary.json").write_text(json.dumps(changed))
    assert run("detokenize", tmp_path / "units", "--out", tmp_path / "wav") == 2
    assert "with the weights seed:1" in capsys.readouterr().err
    assert run("detokenize", tmp_path, "--out", tmp_path / "wav") == 2
    assert "no vocabulary of tokens is there" in capsys.readouterr().err


def test_a_clip_that_fails_keeps_its_row_and_is_tried_again(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data, out = make_data(2, seconds=0.5), tmp_path / "tokens"
    (data.parent / "1.flac").rename(data.parent / "good.flac")
    (data.parent / "1.flac").write_bytes(b"no audio")
    lines = [{**json.loads(line), "sha256": ""} for line in data.read_text().splitlines()]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("tokenize", data, "--tokenizer", "mimi@tiny", "--out", out) == 1
    rows = list(shards.rows(out / "data" / "train-00000-of-00001.parquet"))
    assert [bool(len(row.tokens)) for row in rows] == [True, False] and "cannot be read" in rows[1].note
    assert not shards.whole(out / "data" / "train-00000-of-00001.parquet")
    assert run("detokenize", out, "--out", tmp_path / "wav") == 0
    assert [path.name for path in (tmp_path / "wav").iterdir()] == ["clip0.wav"]


def test_long_audio_is_coded_in_pieces_of_the_length_asked_for(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(1, seconds=2.5, rate=24_000)
    tokens = bench.tokenize(data, "mimi@tiny", tmp_path / "tokens", "depth", piece=1.0)
    (row,) = tokens.rows()
    assert row.seams == [[0.96, 1.92]] and row.tokens.shape == (32, tokens.columns)  # of 12.5 Hz, 12 frames to a piece
    bench.detokenize(tmp_path / "tokens", tmp_path / "wav")
    wav, codec = read_clip(open_data(str(data)).clips[0]).wav, registry.load_tokenizer("mimi@tiny")
    assert audio(tmp_path / "wav", "clip0").shape == wav.shape
    first = codec.encode(wav[None, :, : 12 * 1920])[0].numpy()
    order = [stream["codebook"] for stream in tokens.vocabulary["streams"]]
    assert (row.tokens[:12] == first[order].T).all()


@pytest.mark.parametrize("suffix", [".wav", ".flac"])  # by libsndfile; by FFmpeg
def test_files_longer_than_ten_minutes_need_pieces(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    noise = 0.1 * torch.randn(601 * 8000, generator=torch.Generator().manual_seed(0))
    soundfile.write(tmp_path / "talks" / f"long{suffix}", noise.numpy(), 8000)
    words = ("tokenize", tmp_path / "talks", "--tokenizer", "codec2@700c")
    assert run(*words, "--out", tmp_path / "whole") == 1
    (row,) = bench.load_tokens(tmp_path / "whole").rows()
    assert "limit is 600 s: give --piece S" in row.note and not len(row.tokens)
    assert run("tokenize", tmp_path / "talks", "--tokenizer", "opus@6kbps", "--out", tmp_path / "packets") == 1
    (row,) = bench.load_tokens(tmp_path / "packets").rows()
    assert row.note.endswith("limit is 600 s: split it")  # its frames cannot be cut
    assert run(*words, "--out", tmp_path / "pieces", "--piece", 60) == 0
    (row,) = bench.load_tokens(tmp_path / "pieces").rows()
    assert row.seams == [[60.0 * i for i in range(1, 11)]] and row.seconds == pytest.approx(601, abs=0.05)
    spec = registry.variant("codec2@700c").spec
    assert len(row.tokens) == math.ceil(601 * spec.frame_rate) * len(spec.codebooks)
    assert run("detokenize", tmp_path / "pieces", "--out", tmp_path / "wav") == 0
    assert soundfile.info(next((tmp_path / "wav").iterdir())).duration == pytest.approx(601, abs=0.05)


@pytest.mark.parametrize("form", shards.FORMS)
def test_shards_are_plain_tables(form: shards.Form, make_data: Callable[..., Path], tmp_path: Path) -> None:
    data, out = make_data(3, seconds=0.5), tmp_path / "tokens"
    assert run("tokenize", data, "--tokenizer", "mimi@tiny", "--layout", "delayed", "--out", out, "--format", form) == 0
    table = shards.table(out / "data" / f"train-00000-of-00001.{form}")
    columns = json.loads((out / "vocabulary.json").read_text())["columns"]
    grid = table["tokens"][0].values.to_numpy().reshape(-1, columns)
    assert table["id"].to_pylist() == ["clip0", "clip1", "clip2"] and table["speaker"].to_pylist() == ["s0", "s1", "s0"]
    assert (next(bench.load_tokens(out).rows()).tokens == grid).all()
    assert (grid[0, 1:] == np.array([c["size"] for c in json.loads((out / "vocabulary.json").read_text())["streams"]])[1:]).all()


@pytest.mark.parametrize("label", ["mimi@tiny", "dac@tiny"])
def test_clips_that_are_encoded_together_have_the_tokens_of_clips_alone(label: str, make_data: Callable[..., Path], tmp_path: Path) -> None:
    """Each is longer than the one before: in a batch they are filled up."""
    data, found = make_data(5, seconds=0.5), []
    for size in ("1", "3"):
        out = tmp_path / size
        assert run("tokenize", data, "--tokenizer", label, "--out", out, "--batch-size", size) == 0
        found.append([(row.id, row.tokens.tolist()) for row in bench.load_tokens(out).rows()])
    assert len(found[0]) == 5 and found[0] == found[1]


def test_hugging_face_datasets_loads_the_folder(make_data: Callable[..., Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    for form in shards.FORMS:
        out = tmp_path / form
        assert (
            run("tokenize", make_data(3, seconds=0.5, name=f"of_{form}"), "--tokenizer", "mimi@tiny", "--out", out, "--format", form) == 0
        )
        found = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))["train"]
        assert found["id"] == ["clip0", "clip1", "clip2"]
        assert found[0]["tokens"] == next(bench.load_tokens(out).rows()).tokens.tolist()
