"""Downloads: through the user's hub cache or the project's own, proven by sha256, every failure one line that says how to correct it."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.api import Checkpoint, UserError
from bench.weights import download
from tests.hub import REVISION, Hub, serve

CONTENT = b"the weights"
ADDRESS = f"https://huggingface.co/owner/name/resolve/{REVISION}/sub/w.safetensors"
ROOT = Path(__file__).resolve().parents[3]
LOCATE = """
import json, resource, sys, time
time.sleep = lambda seconds: None  # of the waits between attempts
from bench.api import Checkpoint, UserError
from bench.weights import download
checkpoint, largest = Checkpoint(**json.loads(sys.argv[1])), int(sys.argv[2])
if largest:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
try:
    print(json.dumps([str(download.locate(checkpoint)), ""]))
except UserError as error:
    print(json.dumps(["", str(error)]))
"""


def pinned(content: bytes = CONTENT, url: str = ADDRESS, file: str = "w.safetensors") -> Checkpoint:
    return Checkpoint(file, hashlib.sha256(content).hexdigest(), url)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        hub.files["owner/name/sub/w.safetensors"] = hub.files["/w.safetensors"] = CONTENT
        yield hub


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty hub cache and an empty cache folder. No variable of the tests' user counts."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr(download, "RETRIES", 0)


def locate(checkpoint: Checkpoint, largest: int = 0, **environment: str) -> tuple[Path, str]:
    """The path, or the message, of a process of its own, as the hub's library reads its variables once; no file > `largest` bytes."""
    command = [sys.executable, "-c", LOCATE, json.dumps(asdict(checkpoint)), str(largest)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path, message = json.loads(done.stdout)
    assert "\n" not in message
    return Path(path), message


def test_a_hub_file_lands_in_the_users_hub_cache_and_is_asked_for_once(hub: Hub, tmp_path: Path) -> None:
    path, message = locate(pinned(), HF_ENDPOINT=hub.endpoint)
    assert not message and path.read_bytes() == CONTENT
    assert path == tmp_path / "hf" / "hub" / "models--owner--name" / "snapshots" / REVISION / "sub" / "w.safetensors"
    assert [asked.path for asked in hub.gets()] == [f"/owner/name/resolve/{REVISION}/sub/w.safetensors"], "of the mirror"
    hub.asked.clear()
    assert locate(pinned(), HF_ENDPOINT=hub.endpoint) == (path, "") and not hub.asked


def test_a_file_that_another_program_left_in_the_hub_cache_needs_no_network(hub: Hub) -> None:
    code = f"from huggingface_hub import hf_hub_download as get; print(get('owner/name', 'sub/w.safetensors', revision='{REVISION}'))"
    other = subprocess.run([sys.executable, "-c", code], env=os.environ | {"HF_ENDPOINT": hub.endpoint}, capture_output=True, text=True)
    assert locate(pinned(), HF_HUB_OFFLINE="1") == (Path(other.stdout.strip()), "")
    assert locate(pinned()) == (Path(other.stdout.strip()), ""), "also where the network is down"


def test_a_file_in_the_projects_own_cache_comes_first(hub: Hub, tmp_path: Path) -> None:
    own = tmp_path / "cache" / "w.safetensors"
    own.parent.mkdir()
    own.write_bytes(CONTENT)
    assert locate(pinned(), HF_ENDPOINT=hub.endpoint) == (own, "") and not hub.asked


def test_a_download_that_breaks_off_goes_on_where_it_was(hub: Hub) -> None:
    content = os.urandom(1 << 20) * 12  # beyond the 10 MiB that the library writes at a time
    hub.files["owner/name/sub/w.safetensors"], hub.break_after = content, 11 << 20
    path, message = locate(pinned(content), HF_ENDPOINT=hub.endpoint)
    assert not message and path.stat().st_size == len(content)
    assert [asked.range for asked in hub.gets()] == ["", f"bytes={10 << 20}-"]


def test_the_users_token_is_sent(hub: Hub) -> None:
    hub.token = "hf_secret"
    _, message = locate(pinned(), HF_ENDPOINT=hub.endpoint)
    assert "no such repository, or a private one" in message and "HF_TOKEN" in message
    path, message = locate(pinned(), HF_ENDPOINT=hub.endpoint, HF_TOKEN="hf_secret")
    assert not message and path.read_bytes() == CONTENT


def test_a_wrong_hub_file_is_refused_and_does_not_stay(hub: Hub, tmp_path: Path) -> None:
    hub.files["owner/name/sub/w.safetensors"] = b"something else"
    _, message = locate(pinned(), HF_ENDPOINT=hub.endpoint)
    assert "not the pinned" in message and hub.endpoint in message and "run again" in message
    assert not [path for path in (tmp_path / "hf").rglob("*") if path.is_symlink() or (path.is_file() and b"else" in path.read_bytes())]
    hub.files["owner/name/sub/w.safetensors"] = CONTENT
    path, message = locate(pinned(), HF_ENDPOINT=hub.endpoint)
    assert not message and path.read_bytes() == CONTENT


def test_a_damaged_file_in_the_hub_cache_is_downloaded_again_or_named(hub: Hub) -> None:
    path, _ = locate(pinned(), HF_ENDPOINT=hub.endpoint)
    path.write_bytes(b"damaged")
    _, message = locate(pinned(), HF_HUB_OFFLINE="1")
    assert str(path) in message and "is not the pinned w.safetensors" in message and path.read_bytes() == b"damaged"
    assert locate(pinned(), HF_ENDPOINT=hub.endpoint) == (path, "") and path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("refusal", "parts"),
    [
        ("GatedRepo", ("licence must be accepted", "https://huggingface.co/owner/name", "HF_TOKEN")),
        ("RepoNotFound", ("no such repository, or a private one", "HF_TOKEN")),
        ("EntryNotFound", ("404", REVISION)),
        ("RevisionNotFound", ("404", REVISION)),
    ],
)
def test_what_the_hub_refuses_is_said_with_the_cure(hub: Hub, tmp_path: Path, refusal: str, parts: tuple[str, ...]) -> None:
    hub.refuse = refusal
    _, message = locate(pinned(), HF_ENDPOINT=hub.endpoint)
    for part in (*parts, f"{hub.endpoint}/owner/name", f"put it at {tmp_path / 'cache' / 'w.safetensors'}", "--weights PATH"):
        assert part in message


@pytest.mark.parametrize(("offline", "why"), [("1", "HF_HUB_OFFLINE is set): unset it"), ("0", "Connection refused")])
def test_no_network_is_said_with_the_cure(tmp_path: Path, offline: str, why: str) -> None:
    _, message = locate(pinned(), HF_HUB_OFFLINE=offline)
    for part in ("w.safetensors is not on this machine", why, "put it at", str(tmp_path / "cache"), "--weights PATH", "@mini"):
        assert part in message


@pytest.mark.parametrize(("url", "variable"), [(ADDRESS, "HF_HOME"), ("{}/w.safetensors", "AUDIO_TOKENIZER_BENCH_CACHE")])
def test_a_full_disk_is_said_with_the_cure_and_nothing_is_left(hub: Hub, tmp_path: Path, url: str, variable: str) -> None:
    content = bytes(100_000)
    hub.files["owner/name/sub/w.safetensors"] = hub.files["/w.safetensors"] = content
    checkpoint = pinned(content, url.format(hub.endpoint))
    _, message = locate(checkpoint, largest=50_000, HF_ENDPOINT=hub.endpoint)
    assert "no space left" in message and f"set {variable} to a folder on another disk" in message
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size >= 1000]
    path, message = locate(checkpoint, HF_ENDPOINT=hub.endpoint)
    assert not message and path.read_bytes() == content


@pytest.mark.parametrize(("url", "variable"), [(ADDRESS, "HF_HOME"), ("{}/w.safetensors", "AUDIO_TOKENIZER_BENCH_CACHE")])
def test_a_folder_that_cannot_be_written_is_said_with_the_cure(hub: Hub, tmp_path: Path, url: str, variable: str) -> None:
    (tmp_path / "file").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, str(tmp_path / "file"))
        _, message = locate(pinned(url=url.format(hub.endpoint)), HF_ENDPOINT=hub.endpoint)
    assert f"cannot write {tmp_path / 'file'}" in message and f"set {variable} to" in message


def test_any_other_address_is_downloaded_once_into_the_projects_cache(hub: Hub, tmp_path: Path) -> None:
    checkpoint = pinned(url=f"{hub.endpoint}/w.safetensors", file="sub/w.safetensors")
    path = download.locate(checkpoint)
    assert path == tmp_path / "cache" / "sub" / "w.safetensors" and path.read_bytes() == CONTENT
    assert download.locate(replace(checkpoint, url="http://127.0.0.1:9/never")) == path and len(hub.gets()) == 1


def test_two_processes_download_a_file_once(hub: Hub) -> None:
    content = bytes(30 << 20)
    hub.files["/w.safetensors"] = content
    facts = json.dumps(asdict(pinned(content, f"{hub.endpoint}/w.safetensors")))
    both = [subprocess.Popen([sys.executable, "-c", LOCATE, facts, "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(process.communicate()[0]) for process in both]
    assert answers[0] == answers[1] and not answers[0][1] and len(hub.gets()) == 1


def test_a_wrong_download_is_refused_and_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    checkpoint = pinned(b"what is pinned", f"{hub.endpoint}/w.safetensors")
    with pytest.raises(UserError) as error:
        download.locate(checkpoint)
    for part in ("sha256", "does not match", checkpoint.url):
        assert part in str(error.value)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".w.safetensors.lock"]
    hub.files["/w.safetensors"] = b"what is pinned"
    assert download.locate(checkpoint).read_bytes() == b"what is pinned"


def test_a_broken_download_is_tried_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RETRIES", 1)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.break_after = 5
    assert download.locate(pinned(url=f"{hub.endpoint}/w.safetensors")).read_bytes() == CONTENT and len(hub.gets()) == 2


def test_a_changed_file_in_the_projects_cache_is_refused(hub: Hub) -> None:
    checkpoint = pinned(url=f"{hub.endpoint}/w.safetensors")
    download.locate(checkpoint).write_bytes(b"something else")
    with pytest.raises(UserError, match="not the pinned .*: delete it"):
        download.locate(checkpoint)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/far.safetensors", "{}/far.safetensors"])
def test_an_address_that_does_not_answer_is_said_with_the_cure(hub: Hub, tmp_path: Path, url: str) -> None:
    checkpoint = Checkpoint("far.safetensors", "0" * 64, url.format(hub.endpoint))
    with pytest.raises(UserError) as error:
        download.locate(checkpoint)
    why = "404" if "{}" in url else "Connection refused"
    for part in (checkpoint.url, why, f"put it at {tmp_path / 'cache' / 'far.safetensors'}", "--weights PATH", "@mini"):
        assert part in str(error.value)


def test_a_file_of_unknown_sha256_is_never_downloaded(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not known here: get http.* and give it with --weights PATH"):
        download.locate(replace(pinned(url=f"{hub.endpoint}/w.safetensors"), sha256=""))
    assert not (tmp_path / "cache").exists() and not hub.asked


def test_a_file_not_shipped_is_said() -> None:
    with pytest.raises(UserError, match="nowhere.safetensors.*--weights PATH"):
        download.locate(Checkpoint("nowhere.safetensors", "0" * 64))


def test_a_users_own_file_is_taken_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(CONTENT)
    assert download.locate(Checkpoint(str(path), download.sha256_of(path))) == path
    with pytest.raises(UserError, match="own2.safetensors"):
        download.sha256_of(tmp_path / "own2.safetensors")


def test_sha256_is_the_published_algorithm(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-4, first example
    assert download.sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://huggingface.co/owner/name/resolve/v1/sub/w.bin", "model"),
        ("https://huggingface.co/datasets/owner/name/resolve/v1/sub/w.bin", "dataset"),
        ("https://dl.fbaipublicfiles.com/owner/name/resolve/v1/sub/w.bin", ""),
    ],
)
def test_an_address_of_the_hub_names_repository_revision_and_file(url: str, kind: str) -> None:
    assert download.hub_file(url) == (download.HubFile("owner/name", "v1", "sub/w.bin", kind) if kind else None)


def test_a_file_is_known_to_be_here_wherever_it_is(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    assert not download.present(pinned())
    locate(pinned(), HF_ENDPOINT=hub.endpoint)
    assert download.present(pinned())
    address = pinned(url=f"{hub.endpoint}/w.safetensors")
    assert not download.present(address)
    download.locate(address)
    assert download.present(address) and not download.present(Checkpoint("nowhere.safetensors", ""))


@pytest.mark.parametrize("before", [True, False])
def test_the_cache_folder_of_earlier_versions_stays_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    monkeypatch.delenv("AUDIO_TOKENIZER_BENCH_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    old, new = tmp_path / ".cache" / "audio-tokenizer-bench", tmp_path / "other" / "audio-tokenizer-bench"
    if before:
        old.mkdir(parents=True)
    assert download.cache_folder() == (old if before else new) or not sys.platform.startswith("linux")


def test_finding_a_file_needs_neither_torch_nor_the_libraries_that_download() -> None:
    code = "import sys, bench.weights.download\nprint({'torch', 'huggingface_hub', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
