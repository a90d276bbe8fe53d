"""Sets whose audio is fetched: each clip is the cut that the manifest means, fetched once or copied, or one line says why not."""

import hashlib
import io
import json
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import UserError
from bench.data import fetched, manifests
from bench.data.audio import read_clip
from bench.data.known import Hashes
from bench.data.manifest_clips import from_manifest
from tests.hub import Hub, serve

OPEN = Path(manifests.__file__).resolve().parents[2] / "tasks" / "data" / "open" / "manifest.jsonl"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no folder of copies."""
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(fetched.PLACE, raising=False)
    monkeypatch.setattr("bench.weights.download.RETRIES", 0)
    return tmp_path / "cache"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as server:
        yield server


def wav16(samples: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def made(folder: Path, hub: Hub) -> tuple[Path, dict[str, np.ndarray]]:
    """A set `small` of three clips and the samples of each, cut here by hand: plain, the mean of two channels, faded and louder."""
    draw = np.random.default_rng(0)
    plain, two, loud = (draw.integers(-9000, 9000, (4000, channels)) for channels in (1, 2, 1))
    sources = {"plain": wav16(plain, 16_000), "two": wav16(two, 24_000), "loud": wav16(loud, 44_100)}
    ramp = np.ones((1000, 1))
    ramp[:20, 0], ramp[-20:, 0] = np.arange(20) / 19, np.arange(20)[::-1] / 19
    samples = {
        "plain": plain[500:2500],
        "two": np.floor(two.mean(1, keepdims=True)).astype(int)[:3000],
        "loud": np.floor(loud[100:1100] * 1.5 * ramp + 1e-6).astype(int),
    }
    cut = {"plain": (500, 2000, "mono", 1.0, 0), "two": (0, 3000, "mean", 1.0, 0), "loud": (100, 1000, "mono", 1.5, 20)}
    rates, lines = {"plain": 16_000, "two": 24_000, "loud": 44_100}, []
    for name, content in sources.items():
        hub.files[f"/x/{name}.wav"] = content
        line = {"path": f"audio/{name}.wav", "id": name, "source": f"{hub.endpoint}/x/{name}.wav"}
        line |= dict(zip(("start", "frames", "mix", "gain", "fade"), cut[name], strict=True))
        line |= {
            "source_sha256": hashlib.sha256(content).hexdigest(),
            "sha256": hashlib.sha256(wav16(samples[name], rates[name])).hexdigest(),
        }
        lines.append(json.dumps(line))
    path = folder / "small" / "manifest.jsonl"
    path.parent.mkdir()
    path.write_text("\n".join(lines) + "\n")
    return path, samples


def test_clips_are_cut_as_the_manifest_says_and_fetched_once(tmp_path: Path, cache: Path, hub: Hub) -> None:
    manifest, samples = made(tmp_path, hub)
    assert [cut.id for cut in fetched.missing(manifest)] == ["plain", "two", "loud"]
    fetched.complete(manifest)
    for clip in from_manifest(manifest, Hashes().of, fetched.folder("small")):
        assert np.array_equal(read_clip(clip).wav.numpy().T * 32768, samples[clip.id])  # which proves the sha256, too
    assert fetched.missing(manifest) == [] and not list(cache.rglob("sources/*.wav"))
    asked = len(hub.asked)
    fetched.complete(manifest)
    assert len(hub.asked) == asked


def test_copies_are_taken_where_their_samples_are_the_same(tmp_path: Path, cache: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, samples = made(tmp_path, hub)
    copies = tmp_path / "copies"
    (copies / "deep").mkdir(parents=True)
    soundfile.write(copies / "deep" / "plain.flac", samples["plain"].astype(np.int16), 16_000, subtype="PCM_16")
    soundfile.write(copies / "two.wav", samples["two"].astype(np.int16) + 1, 24_000, subtype="PCM_16")  # another sound of that name
    monkeypatch.setenv(fetched.PLACE, str(copies))
    fetched.complete(manifest)
    assert [asked.path for asked in hub.gets()] == ["/x/two.wav", "/x/loud.wav"]
    monkeypatch.setenv(fetched.PLACE, str(tmp_path / "nowhere"))
    (fetched.folder("small") / "audio" / "two.wav").unlink()
    with pytest.raises(UserError, match="AUDIO_TOKENIZER_BENCH_DATA names .*nowhere, which is no folder"):
        fetched.complete(manifest)


def test_what_came_is_kept_when_a_later_one_does_not_come(tmp_path: Path, cache: Path, hub: Hub) -> None:
    manifest, _ = made(tmp_path, hub)
    two = hub.files.pop("/x/two.wav")
    with pytest.raises(UserError, match=r"cannot be downloaded from http://127.*two\.wav.*AUDIO_TOKENIZER_BENCH_DATA.*--data mini"):
        fetched.complete(manifest)
    assert [cut.id for cut in fetched.missing(manifest)] == ["two", "loud"]
    hub.files["/x/two.wav"] = two
    fetched.complete(manifest)
    assert [asked.path for asked in hub.gets()].count("/x/plain.wav") == 1


def test_a_download_that_breaks_off_goes_on_at_the_byte_the_next_time(
    tmp_path: Path, cache: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.weights.transfer.CHUNK", 100)
    manifest, _ = made(tmp_path, hub)
    hub.break_after = 1000
    with pytest.raises(UserError, match=r"plain\.wav"):
        fetched.complete(manifest)
    assert len(fetched.missing(manifest)) == 3 and not list(cache.rglob("*.wav"))
    fetched.complete(manifest)
    assert fetched.missing(manifest) == [] and [asked.range for asked in hub.gets()] == ["", "bytes=1000-", "", ""]


def test_another_file_at_the_address_is_refused(tmp_path: Path, cache: Path, hub: Hub) -> None:
    manifest, _ = made(tmp_path, hub)
    hub.files["/x/plain.wav"] = hub.files["/x/loud.wav"]
    with pytest.raises(UserError, match=r"x/plain\.wav \(its sha256 .* does not match the pinned"):
        fetched.complete(manifest)
    assert len(fetched.missing(manifest)) == 3 and not list(cache.rglob("*.wav"))


def test_a_cut_that_is_another_sound_is_refused(tmp_path: Path, cache: Path, hub: Hub) -> None:
    manifest, _ = made(tmp_path, hub)
    manifest.write_text(manifest.read_text().replace('"start": 500', '"start": 501'))
    with pytest.raises(UserError, match="plain, cut out of .*, is not the clip that the manifest means"):
        fetched.complete(manifest)


def test_open_is_the_100_clips_that_it_says(cache: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not manifests.here("open")
    monkeypatch.setenv(fetched.PLACE, str(real_data / "eval"))
    data = manifests.open_data("open")
    assert not manifests.here("open")  # boards are checked without the audio
    assert manifests.told_data("open") == data and manifests.here("open")
    assert {domain: sum(clip.domain == domain for clip in data.clips) for domain in ("speech", "music", "general")} == {
        "speech": 69,
        "music": 15,
        "general": 16,
    }
    speech = [clip for clip in data.clips if clip.domain == "speech"]
    assert len({clip.speaker for clip in speech}) == 33 and all(clip.text for clip in speech)
    theirs = {json.loads(line)["id"]: json.loads(line) for line in (real_data / "eval" / "manifest.jsonl").read_text().splitlines()}
    for clip in data.clips:
        expected, rate = soundfile.read(real_data / "eval" / theirs[clip.id]["path"], dtype="int16", always_2d=True)
        found, found_rate = soundfile.read(clip.path, dtype="int16", always_2d=True)
        assert rate == found_rate and np.array_equal(expected, found)


def test_every_clip_of_open_has_a_pinned_source_and_says_whose_it_is() -> None:
    lines = [json.loads(line) for line in OPEN.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len({line["id"] for line in lines}) == 100
    for line in lines:
        owner, name, commit = line["source"].removeprefix("https://raw.githubusercontent.com/").split("/")[:3]
        assert owner and name and len(commit) == 40 and set(commit) <= set("0123456789abcdef")
        assert line["licence"] and line["attribution"] and abs(line["frames"] / line["sample_rate"] - line["duration"]) < 0.001
        assert "NC" not in line["licence"] and "ND" not in line["licence"]
