"""Public sets by name: each layout gives its clips; archives come from a server on this machine, are proven, go on where they stopped."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from bench.api import UserError
from bench.cli import main
from bench.data.audio import read_clip
from bench.data.manifests import all_names, fetch, here, open_data, told_data
from bench.data.public import archives, layouts, places, sets
from bench.data.public.records import File, PublicSet
from bench.data.roots import PLACE
from bench.weights import licences, transfer
from tests.conftest import speech_like
from tests.hub import Hub, serve

SPOKEN = "the cat sat"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, no folder of the user's own, nothing accepted, no second attempts."""
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(PLACE, "")
    monkeypatch.setenv(licences.ACCEPTED, "")
    monkeypatch.setattr(places, "RETRIES", 0)
    monkeypatch.setattr(transfer, "CHUNK", 100)
    return tmp_path / "cache"


def audio(seed: int = 0, kind: str = "FLAC") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, speech_like(0.2, 16_000, seed).numpy(), 16_000, format=kind, subtype="OPUS" if kind == "OGG" else "PCM_16")
    return file.getvalue()


def of_speakers(suffix: str, names: list[str], kind: str) -> dict[str, bytes]:
    return {f"{name}{suffix}": audio(number, kind) for number, name in enumerate(names)}


TREES: dict[str, dict[str, bytes]] = {  # what the archives of each set hold, as small as can be
    "librispeech/test-clean": {
        **of_speakers(".flac", ["LibriSpeech/test-clean/61/70968/61-70968-0000", "LibriSpeech/test-clean/908/1/908-1-0000"], "FLAC"),
        "LibriSpeech/test-clean/61/70968/61-70968.trans.txt": b"61-70968-0000 THE CAT SAT\n",
        "LibriSpeech/test-clean/908/1/908-1.trans.txt": b"908-1-0000 ON THE MAT\n",
        "LibriSpeech/SPEAKERS.TXT": b"; ID\n",
    },
    "libritts/test-clean": {
        **of_speakers(".wav", ["LibriTTS/test-clean/61/70968/61_70968_000000_000001"], "WAV"),
        "LibriTTS/test-clean/61/70968/61_70968_000000_000001.normalized.txt": b"The cat sat.",
        "LibriTTS/test-clean/61/70968/61_70968_000000_000001.original.txt": b"The cat sat",
    },
    "vctk": {
        **of_speakers("_mic1.flac", ["wav48_silence_trimmed/p225/p225_001", "wav48_silence_trimmed/p315/p315_001"], "FLAC"),
        "wav48_silence_trimmed/p225/p225_001_mic2.flac": audio(5),
        "txt/p225/p225_001.txt": b"Please call Stella.\n",
    },
    "ljspeech": {
        **of_speakers(".wav", ["LJSpeech-1.1/wavs/LJ001-0001"], "WAV"),
        "LJSpeech-1.1/metadata.csv": b'LJ001-0001|"In 1455"|"In fourteen"\n',
    },
    "speechcommands/test": {
        **of_speakers(".wav", ["./yes/0a7c_nohash_0", "./no/0a7c_nohash_1", "./up/1b_nohash_0"], "WAV"),
        "./testing_list.txt": b"yes/0a7c_nohash_0.wav\nno/0a7c_nohash_1.wav\n",
        "./validation_list.txt": b"up/1b_nohash_0.wav\n",
    },
    "aishell/test": {
        "data_aishell/transcript/aishell_transcript_v0.8.txt": "BAC009S0764W0121 甚至 出现\nBAC009S0002W0122 别 的\n".encode(),
    },
    "musdb18/test": {"test/A - One.stem.mp4": audio(0, "WAV"), "train/B - Two.stem.mp4": audio(1, "WAV")},
    "gtzan": of_speakers(".wav", ["genres/blues/blues.00000", "genres/rock/rock.00001"], "WAV"),
    "esc50": {
        "ESC-50-master/audio/1-100032-A-0.wav": audio(0, "WAV"),
        "ESC-50-master/meta/esc50.csv": b"filename,fold,target,category,esc10,src_file,take\n1-100032-A-0.wav,1,0,dog,True,100032,A\n",
    },
    "fsd50k/eval": {
        "FSD50K.ground_truth/eval.csv": b'fname,labels,mids\n64760,"Electric_guitar,Guitar,Music","/m/1,/m/2,/m/3"\n9,Bark,/m/0\n',
    },
}
MLS = {
    "mls_german_opus/test/audio/2037/1955/2037_1955_000000.opus": audio(0, "OGG"),
    "mls_german_opus/test/transcripts.txt": "2037_1955_000000\tdas größte\n".encode(),
}
WANTED = {  # id, speaker, text, domain, language of the clips
    "librispeech/test-clean": [
        ("61-70968-0000", "61", "THE CAT SAT", "speech", "en"),
        ("908-1-0000", "908", "ON THE MAT", "speech", "en"),
    ],
    "libritts/test-clean": [("61_70968_000000_000001", "61", "The cat sat.", "speech", "en")],
    "vctk": [("p225_001", "p225", "Please call Stella.", "speech", "en"), ("p315_001", "p315", "", "speech", "en")],
    "ljspeech": [("LJ001-0001", "lj", '"In fourteen"', "speech", "en")],
    "speechcommands/test": [("no/0a7c_nohash_1", "0a7c", "no", "speech", "en"), ("yes/0a7c_nohash_0", "0a7c", "yes", "speech", "en")],
    "aishell/test": [("BAC009S0764W0121", "S0764", "甚至出现", "speech", "zh")],
    "musdb18/test": [("A - One", "", "", "music", "en")],
    "gtzan": [("blues.00000", "", "", "music", "en"), ("rock.00001", "", "", "music", "en")],
    "esc50": [("1-100032-A-0", "", "", "general", "en")],
    "fsd50k/eval": [("9", "", "", "general", "en"), ("64760", "", "", "general", "en")],
}
LABELS = {
    "speechcommands/test": ["no", "yes"],
    "gtzan": ["blues", "rock"],
    "esc50": ["dog"],
    "fsd50k/eval": ["Bark", "Electric_guitar"],
}


def tar(members: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as made:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def in_volumes(members: Mapping[str, bytes], folder: Path) -> list[bytes]:
    """The volumes of a zip, as Info-ZIP's `zip -s` writes them."""
    if shutil.which("zip") is None:
        pytest.skip("the program zip is not here")
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    tops = sorted({name.split("/")[0] for name in members})
    subprocess.run(["zip", "-q", "-r", "-0", "-s", "64k", "../x.zip", *tops], cwd=folder, check=True)
    return [path.read_bytes() for path in [*sorted(folder.parent.glob("x.z[0-9]*")), folder.parent / "x.zip"]]


def content_of(name: str, tmp_path: Path) -> list[bytes]:
    """The files of a set, in the order of its record."""
    if name == "aishell/test":
        speakers = {
            f"data_aishell/wav/{speaker}.tar.gz": tar({f"{part}/{speaker}/{wav}.wav": audio(1, "WAV") for wav in wavs})
            for part, speaker, wavs in (("test", "S0764", ["BAC009S0764W0121", "BAC009S0764W0999"]), ("dev", "S0002", ["BAC009S0002W0122"]))
        }
        return [tar(TREES[name] | speakers)]
    if name == "fsd50k/eval":
        noise = os.urandom(90_000)  # which fills a volume
        sounds = {
            "FSD50K.eval_audio/64760.wav": audio(0, "WAV"),
            "FSD50K.eval_audio/9.wav": audio(1, "WAV"),
            "FSD50K.eval_audio/0.bin": noise,
        }
        return [zipped(TREES[name]), *in_volumes(sounds, tmp_path / "volumes")]
    made = zipped if name in ("vctk", "musdb18/test", "esc50") else tar
    return [made(TREES[name])]


def served(hub: Hub, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes a set's archives those of the server: its own small ones, pinned by what they are. Gives their paths there."""
    wanted = places.named(name)
    assert wanted
    contents = content_of(name, tmp_path)
    names = [file.name for file in wanted.part.files]
    if name == "fsd50k/eval":
        assert len(contents) > 2
        names = ["FSD50K.ground_truth.zip", *(f"FSD50K.eval_audio.z{i:02d}" for i in range(1, len(contents) - 1)), "FSD50K.eval_audio.zip"]
    files = []
    for file, content in zip(names, contents, strict=True):
        hub.files[f"/{file}"] = content
        files.append(File((f"{hub.endpoint}/{file}",), len(content), f"md5:{hashlib.md5(content).hexdigest()}"))
    parts = tuple(replace(part, files=tuple(files), clips=None) if part == wanted.part else part for part in wanted.whole.parts)
    changed(monkeypatch, replace(wanted.whole, parts=parts))
    return [f"/{file}" for file in names]


def changed(monkeypatch: pytest.MonkeyPatch, whole: PublicSet) -> None:
    monkeypatch.setattr(places, "SETS", tuple(whole if other.name == whole.name else other for other in places.SETS))


def repinned(monkeypatch: pytest.MonkeyPatch, name: str, **facts: object) -> None:
    """Changes the record of the one archive of a set that has one part."""
    wanted = places.named(name)
    assert wanted
    (file,) = wanted.part.files
    changed(monkeypatch, replace(wanted.whole, parts=(replace(wanted.part, files=(replace(file, **facts),)),)))  # type: ignore[arg-type]


def laid_out(name: str, root: Path, tmp_path: Path) -> Path:
    """A copy of the user's own, unpacked without this project."""
    into = root / sets_into(name)
    into.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(content_of(name, tmp_path)):
        if name == "fsd50k/eval" and number:
            break
        path = tmp_path / f"{number}.archive"
        path.write_bytes(content)
        if content.startswith(b"PK"):
            shutil.unpack_archive(path, into, "zip")
        else:
            shutil.unpack_archive(path, into, "gztar", filter=tarfile.data_filter)
    if name == "fsd50k/eval":
        shutil.copytree(tmp_path / "volumes", into, dirs_exist_ok=True)
    for inner in into.rglob("*.tar.gz"):
        shutil.unpack_archive(inner, inner.parent, filter=tarfile.data_filter)
        inner.unlink()
    return root


def sets_into(name: str) -> str:
    wanted = places.named(name)
    assert wanted
    return wanted.whole.into


def facts(name: str) -> list[tuple[str, str, str, str, str]]:
    return [(clip.id, clip.speaker, clip.text, clip.domain, clip.language) for clip in open_data(name).clips]


@pytest.mark.parametrize("name", list(WANTED))
def test_a_set_is_fetched_unpacked_and_the_same_as_a_copy_of_ones_own(
    name: str, hub: Hub, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = served(hub, name, tmp_path, monkeypatch)
    licences.accept(["CC-BY-NC-3.0", "CC-BY-NC-SA-3.0"])
    assert not here(name)
    with pytest.raises(UserError, match=f"{name} is not on this machine: bench data fetch '{name}'"):
        open_data(name)
    fetch(name)
    assert [asked.path for asked in hub.gets()] == paths and here(name)
    data = open_data(name)
    assert facts(name) == WANTED[name] and data.name == name
    assert [value for clip in data.clips for _, value in clip.labels] == LABELS.get(name, [])
    for clip in data.clips:
        assert read_clip(clip).wav.shape[-1] > 0
    fetch(name)
    assert len(hub.gets()) == len(paths), "nothing comes twice"
    left = [path.name for path in (cache / "data" / name.split("/")[0]).iterdir()]
    assert not [file for file in left if file.endswith((".gz", ".tgz", ".zip", ".bz2", ".part")) or "unpacking" in file]
    root = laid_out(name, tmp_path / "corpora", tmp_path / "other")
    shutil.rmtree(cache)
    monkeypatch.setenv(PLACE, str(root))
    own = told_data(name)
    assert own.sha256 == data.sha256 and all(clip.path.is_relative_to(root) for clip in own.clips) and not cache.exists()


@pytest.fixture(autouse=True)
def other(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()


@pytest.mark.parametrize(("name", "count"), [("speechcommands/validation", 1), ("aishell/dev", 1), ("musdb18/train", 1)])
def test_parts_of_one_archive_share_it(name: str, count: int, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = name.split("/")[0] + "/test"
    served(hub, first, tmp_path, monkeypatch)
    wanted = places.named(first)
    assert wanted
    parts = tuple(replace(part, files=wanted.part.files, clips=None) for part in wanted.whole.parts)
    changed(monkeypatch, replace(wanted.whole, parts=parts))
    licences.accept(["CC-BY-NC-SA-3.0"])
    fetch(first)
    assert len(open_data(name).clips) == count and len(hub.gets()) == 1


def test_a_bare_name_is_the_first_part_and_a_wrong_one_has_near_names() -> None:
    assert [places.named(name).label for name in ("librispeech", "libritts", "mls")] == [  # type: ignore[union-attr]
        "librispeech/test-clean",
        "libritts/test-clean",
        "mls/german",
    ]
    assert {"mini", "open", "librispeech/dev-other", "vctk", "mls/polish", "codec-superb-tiny"} <= set(all_names())
    for wrong, near in (("librispech/test-clean", "librispeech/test-clean"), ("librispeech/test", "librispeech/test-"), ("gtzam", "gtzan")):
        with pytest.raises(UserError, match=f"no data called '{wrong}': did you mean '{near}"):
            open_data(wrong)


def test_audio_of_mls_is_read_where_a_copy_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in MLS.items():
        (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "c" / name).write_bytes(content)
    monkeypatch.setenv(PLACE, str(tmp_path / "c"))
    data = told_data("mls/german")
    (clip,) = data.clips
    assert (clip.id, clip.speaker, clip.text, clip.language) == ("2037_1955_000000", "2037", "das größte", "de")
    assert data.notes[0].endswith("has 1 of the 3394 clips of mls/german")


@pytest.mark.parametrize("depth", ["", "LibriSpeech", "LibriSpeech/test-clean"])
def test_a_copy_is_found_from_any_folder_of_it(depth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = laid_out("librispeech/test-clean", tmp_path / "corpora", tmp_path)
    monkeypatch.setenv(PLACE, os.pathsep.join([str(tmp_path), str(root / depth)]))
    assert [clip.id for clip in open_data("librispeech/test-clean").clips] == ["61-70968-0000", "908-1-0000"]
    with pytest.raises(UserError, match="librispeech/test-other is not on this machine"):
        open_data("librispeech/test-other")
    with pytest.raises(UserError, match="libritts/test-clean is not on this machine"):
        open_data("libritts/test-clean")


def test_a_folder_beside_that_is_called_as_the_set_is_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out("librispeech/test-clean", tmp_path / "x", tmp_path)
    (tmp_path / "x" / "LibriSpeech").rename(tmp_path / "x" / "librispeech")
    monkeypatch.chdir(tmp_path / "x")
    data = told_data("librispeech/test-clean")
    assert data.name == "librispeech/test-clean" and data.clips[0].text == "THE CAT SAT"


def test_an_archive_that_lies_in_ones_own_folder_is_taken(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = served(hub, "librispeech/test-clean", tmp_path, monkeypatch)
    own = tmp_path / "corpora" / "openslr" / path[1:]
    own.parent.mkdir(parents=True)
    own.write_bytes(hub.files[path])
    monkeypatch.setenv(PLACE, str(tmp_path / "corpora"))
    assert len(told_data("librispeech/test-clean").clips) == 2
    assert not hub.asked and own.is_file(), "no network, and it stays"


def test_a_broken_transfer_goes_on_at_the_byte(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    (path,) = served(hub, "librispeech/test-clean", tmp_path, monkeypatch)
    hub.break_after = 1000
    with pytest.raises(UserError, match=r"librispeech/test-clean: test-clean.tar.gz cannot be fetched from http://127.*1 kB of it stay"):
        fetch("librispeech/test-clean")
    fetch("librispeech/test-clean")
    assert [asked.range for asked in hub.gets()] == ["", "bytes=1000-"]
    assert len(open_data("librispeech/test-clean").clips) == 2


def test_attempts_of_one_fetch_go_on_at_the_byte_too(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(hub, "gtzan", tmp_path, monkeypatch)
    monkeypatch.setattr(places, "RETRIES", 1)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.break_after = 700
    fetch("gtzan")
    assert [asked.range for asked in hub.gets()] == ["", "bytes=700-"]


def test_what_came_of_another_file_is_thrown_away_once(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    (path,) = served(hub, "gtzan", tmp_path, monkeypatch)
    part = transfer.part_of(cache / "data" / "gtzan" / path[1:])
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of another file")
    fetch("gtzan")
    assert [asked.range for asked in hub.gets()] == ["bytes=15-", ""] and len(open_data("gtzan").clips) == 2


def test_a_whole_file_that_was_not_proven_yet_is_not_fetched_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    (path,) = served(hub, "gtzan", tmp_path, monkeypatch)
    part = transfer.part_of(cache / "data" / "gtzan" / path[1:])
    part.parent.mkdir(parents=True)
    part.write_bytes(hub.files[path][:-1])
    fetch("gtzan")
    assert [asked.range for asked in hub.gets()] == [f"bytes={len(hub.files[path]) - 1}-"]


def test_another_file_at_the_address_is_refused_by_its_checksum(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    (path,) = served(hub, "gtzan", tmp_path, monkeypatch)
    pinned = hashlib.md5(hub.files[path]).hexdigest()
    hub.files[path] = b"something else"
    found = hashlib.md5(b"something else").hexdigest()
    with pytest.raises(
        UserError, match=f"genres.tar.gz cannot be .*its md5 {found[:12]}... does not match the pinned {pinned[:12]}...: the file was"
    ):
        fetch("gtzan")
    assert not here("gtzan") and not list(cache.rglob("*.part"))


def test_the_second_address_is_asked_where_the_first_has_nothing(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = served(hub, "gtzan", tmp_path, monkeypatch)
    repinned(monkeypatch, "gtzan", urls=(f"{hub.endpoint}/nowhere{path}", hub.endpoint + path))
    fetch("gtzan")
    assert [asked.path for asked in hub.gets()] == [f"/nowhere{path}", path]


def test_the_second_address_is_asked_where_the_first_breaks_off_in_its_second_go(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    (path,) = served(hub, "gtzan", tmp_path, monkeypatch)
    repinned(monkeypatch, "gtzan", urls=(f"{hub.endpoint}/first{path}", hub.endpoint + path))
    hub.files[f"/first{path}"] = hub.files[path]
    part = transfer.part_of(cache / "data" / "gtzan" / path[1:])
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of another file")
    real = transfer._tried

    def tried(url: str, part: Path, retries: int) -> bool:
        if not part.is_file() and "/first/" in url:
            hub.break_after = 700
        return real(url, part, retries)

    monkeypatch.setattr(transfer, "_tried", tried)
    fetch("gtzan")
    asked = [(get.path, get.range) for get in hub.gets()]
    assert asked == [(f"/first{path}", "bytes=15-"), (f"/first{path}", ""), (path, "bytes=700-")]


def test_what_forbids_some_use_is_said_and_accepted_before_the_first_byte(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served(hub, "esc50", tmp_path, monkeypatch)
    assert main(["data", "fetch", "esc50"]) == 2
    error = capsys.readouterr().err
    assert "esc50: CC-BY-NC-3.0: no commercial use (https://github.com" in error and "--accept-licence CC-BY-NC-3.0" in error
    assert error.count("\n") == 1 and not hub.asked
    assert main(["data", "fetch", "esc50", "--accept-licence", "CC-BY-NC-3.0"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("esc50: 1 clip, 0 speakers, sha256 ") and "fetching esc50 (" in said.err


def test_a_small_disk_is_told_before_the_first_byte(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(hub, "gtzan", tmp_path, monkeypatch)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="gtzan needs .* has 0 kB free: set AUDIO_TOKENIZER_BENCH_CACHE"):
        fetch("gtzan")
    assert not hub.asked


@pytest.mark.parametrize("evil", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "..\\out.txt", "C:/out.txt"])
@pytest.mark.parametrize("made", [tar, zipped])
def test_no_member_leads_out_of_the_folder(evil: str, made: object, tmp_path: Path) -> None:
    path = tmp_path / "x.archive"
    path.write_bytes(made({"good.txt": b"x", evil: b"x"}))  # type: ignore[operator]
    with pytest.raises(UserError, match="leads out of the folder"):
        archives.unpacked([path], tmp_path / "in" / "side")
    assert not list(tmp_path.rglob("out.txt"))


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as made:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("fifo", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            made.addfile(member)
    assert archives.unpacked([path], tmp_path / "in") == {}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        made.writestr(info, "/etc/passwd")
    assert archives.unpacked([tmp_path / "x.zip"], tmp_path / "in") == {}


def test_a_zip_in_volumes_is_read_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    members = {f"in/{number}.bin": os.urandom(30_000) for number in range(8)}
    contents = in_volumes(members, tmp_path / "volumes")
    paths = []
    for number, content in enumerate(contents, 1):
        paths.append(tmp_path / ("y.zip" if number == len(contents) else f"y.z{number:02d}"))
        paths[-1].write_bytes(content)
    assert archives.volumes([paths[-1], *paths[:-1], tmp_path / "other.tar.gz"]) == [paths, [tmp_path / "other.tar.gz"]]
    sums = archives.unpacked(paths, tmp_path / "out")
    assert {name: hashlib.sha256(content).hexdigest() for name, content in members.items()} == sums
    damaged = bytearray(contents[0])
    damaged[20_000] ^= 1
    paths[0].write_bytes(damaged)
    with pytest.raises(UserError, match="cannot be unpacked .*checksum of in/0.bin is wrong.*delete it and fetch it again"):
        archives.unpacked(paths, tmp_path / "again")


def test_a_broken_archive_leaves_nothing(hub: Hub, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = served(hub, "gtzan", tmp_path, monkeypatch)
    cut = hub.files[path][:-2000]
    (cache / "data" / "gtzan").mkdir(parents=True)
    (cache / "data" / "gtzan" / path[1:]).write_bytes(cut)
    repinned(monkeypatch, "gtzan", digest=f"md5:{hashlib.md5(cut).hexdigest()}")
    with pytest.raises(UserError, match="genres.tar.gz: cannot be unpacked .*: delete it and fetch it again"):
        fetch("gtzan")
    assert sorted(left.name for left in (cache / "data" / "gtzan").iterdir()) == [".lock", path[1:]] and not here("gtzan")


def without_its_name(archive: bytes) -> bytes:
    """A zip of one file whose name, of one letter, becomes an extra field."""
    entry, changed = archive.index(b"PK\x01\x02"), bytearray(archive)
    changed[26:30] = changed[entry + 28 : entry + 32] = b"\0\0\1\0"
    return bytes(changed)


@pytest.mark.parametrize(
    "content",
    [tar({"": b"x"}), tar({".": b"x"}), zipped({".": b"x"}), without_its_name(zipped({"a": b"x"}))],
    ids=["tar", "tar .", "zip .", "zip"],
)
def test_a_member_without_a_name_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.archive").write_bytes(content)
    with pytest.raises(UserError, match="its member .* leads out of the folder"):
        archives.unpacked([tmp_path / "x.archive"], tmp_path / "in")


@pytest.mark.parametrize(("change", "message"), [("encrypted", "is encrypted"), ("unknown", "compression"), ("lzma", "cannot be unpacked")])
def test_a_zip_that_cannot_be_read_is_told(change: str, message: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA if change == "lzma" else zipfile.ZIP_STORED) as made:
        made.writestr("a", bytes(1000))
    content = bytearray((tmp_path / "x.zip").read_bytes())
    entry = content.index(b"PK\x01\x02")  # in the list of files; flags at 8, method at 10 of an entry, 2 less in the local header
    if change == "encrypted":
        content[entry + 8] |= 1
        content[6] |= 1
    elif change == "unknown":
        content[entry + 10] = content[8] = 99
    else:
        content[35] = 0xFF  # of the properties of LZMA, behind the name
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match=f"{message}.*delete it and fetch it again"):
        archives.unpacked([tmp_path / "x.zip"], tmp_path / "in")


def test_another_file_in_the_place_of_an_archive_is_told(hub: Hub, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = served(hub, "gtzan", tmp_path, monkeypatch)
    left = cache / "data" / "gtzan" / path[1:]
    left.parent.mkdir(parents=True)
    left.write_bytes(tar({"genres/blues/blues.00000.wav": b"of somebody else"}))
    with pytest.raises(UserError, match=f"{left} is not the archive that is meant, by its md5: delete it and fetch it again"):
        fetch("gtzan")
    left.write_bytes(hub.files[path])
    fetch("gtzan")
    assert not hub.asked and len(open_data("gtzan").clips) == 2


def test_what_was_deleted_is_fetched_again_and_what_was_damaged_says_what_to_delete(
    hub: Hub, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "librispeech/test-clean"
    served(hub, name, tmp_path, monkeypatch)
    fetch(name)
    home, data = cache / "data" / "librispeech" / "LibriSpeech" / "test-clean", open_data(name)
    data.clips[0].path.write_bytes(b"damaged")
    with pytest.raises(UserError, match=f"has sha256 .*: delete {home} and fetch it again"):
        open_data(name, verify=True)
    transcript = home / "61" / "70968" / "61-70968.trans.txt"
    transcript.write_bytes(b"\xff")
    with pytest.raises(UserError, match=f"{home} is no whole copy of {name} .*: delete {home} and fetch it again"):
        open_data(name, verify=True)
    shutil.rmtree(home)
    assert not here(name)
    fetch(name)
    assert open_data(name, verify=True) == data and len(hub.gets()) == 2


def test_a_subset_of_a_copy_beside_is_not_fetched(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(hub, "librispeech/test-clean", tmp_path, monkeypatch)
    laid_out("librispeech/test-clean", tmp_path / "x", tmp_path)
    (tmp_path / "x" / "LibriSpeech").rename(tmp_path / "x" / "librispeech")
    monkeypatch.chdir(tmp_path / "x")
    data = told_data("librispeech/test-clean:1")
    assert data.name == "librispeech/test-clean:1" and len(data.clips) == 1 and not hub.asked


def test_a_transcript_ends_where_its_line_does(tmp_path: Path) -> None:
    (tmp_path / "1" / "2").mkdir(parents=True)
    (tmp_path / "1" / "2" / "1-2.trans.txt").write_text("1-2-0 ONE\x85TWO\u2028THREE\n1-2-1 FOUR\n", encoding="utf-8")
    assert [clip["text"] for clip in layouts.librispeech(tmp_path, "")] == ["ONE\x85TWO\u2028THREE", "FOUR"]
    (tmp_path / "metadata.csv").write_text("a|x|One\u2028two\n", encoding="utf-8")
    assert [clip["text"] for clip in layouts.ljspeech(tmp_path, "")] == ["One\u2028two"]


def test_a_subset_by_name_is_that_of_the_limit_and_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted, count in (("mini:4", 4), ("mini:10%", 4), ("mini:4@seed=1", 4), ("mini@domain=music", 40)):
        data = told_data(wanted)
        assert data.name == wanted and len(data.clips) == count
    assert open_data("mini:4@seed=1").clips == open_data("mini", 4, seed=1).clips != open_data("mini", 4).clips
    assert {clip.domain for clip in open_data("mini@domain=music").clips} == {"music"}
    for wrong, message in (
        ("mini:0", "must be a positive integer"),
        ("mini:4@sead=1", "'sead' means nothing: after @ stand seed=N and domain="),
        ("mini:4@seed=x", "invalid literal"),
        ("mini@domain=noise", "no domain is called 'noise'"),
        ("minni:4", "no data called 'minni:4': did you mean 'mini'"),
    ):
        with pytest.raises(UserError, match=message):
            open_data(wrong)


def test_every_archive_has_a_digest_and_every_name_is_its_own() -> None:
    assert len(set(places.names())) == len(places.names())
    for whole in sets.SETS:
        assert whole.page.startswith("https://") and whole.licence
        for part in whole.parts:
            assert part.files or part.hub
            for file in part.files:
                kind, _, digest = file.digest.partition(":")
                assert len(digest) == {"md5": 32, "sha256": 64}[kind] and set(digest) <= set("0123456789abcdef") and file.size > 0
                assert all(url.startswith(("https://", "http://opihi")) and url.endswith(file.name) for url in file.urls)


def test_the_command_lists_shows_and_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--json"]) == 0
    lines = {line["data"]: line for line in json.loads(capsys.readouterr().out)}
    assert set(lines) == set(all_names())
    assert lines["librispeech/test-clean"] == {
        "data": "librispeech/test-clean",
        "clips": "2620 speech",
        "speakers": "40",
        "rate": "16 kHz",
        "size": "347 MB",
        "licence": "CC-BY-4.0",
        "here": "",
    }
    assert "no commercial use" in lines["esc50"]["licence"] and lines["mini"]["here"] == "bundled"
    assert main(["data", "show", "librispeech/test-clean"]) == 0
    said = capsys.readouterr().out
    assert "sha256:39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23" in said and "347 MB" in said
    laid_out("librispeech/test-clean", tmp_path / "c", tmp_path)
    assert main(["data", "list", "librispeech", "--data-root", str(tmp_path / "c"), "--json"]) == 0
    assert [line["here"] for line in json.loads(capsys.readouterr().out)] == ["yes", "", "", ""]
    for words, message in (
        (["data", "show", "librispech"], "did you mean 'librispeech"),
        (["data", "fetch"], "bench data fetch needs a name"),
        (["data", "list", "zzz"], "no data with 'zzz' in their names"),
        (["data", "list", "--data-root", "/nowhere"], "--data-root names /nowhere, which is no folder"),
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
