"""What a licence asks is said, and accepted, before the first byte of a download."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import registry
from bench.api import Checkpoint, UserError
from bench.cli import main
from bench.weights import download, licences
from tests.hub import Hub, serve

CONTENT = b"the weights"
GATED = "https://huggingface.co/owner/name/resolve/main/w.safetensors"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        hub.files["/w.safetensors"] = CONTENT
        yield hub


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches, no token, nothing accepted; what a test accepts is forgotten after it."""
    for name in [name for name in os.environ if name.startswith("HF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(licences.ACCEPTED, "")
    monkeypatch.setattr(download.HubFile, "cached", lambda self: None)
    monkeypatch.setattr(licences, "_token", lambda: None)


def weights(hub: Hub) -> Checkpoint:
    return Checkpoint("w.safetensors", hashlib.sha256(CONTENT).hexdigest(), f"{hub.endpoint}/w.safetensors")


@pytest.mark.parametrize(
    ("licence", "gated", "said"),
    [
        ("MIT", False, ""),
        ("CC-BY-4.0", False, ""),
        ("CC-BY-SA-3.0 (encoder)", False, ""),
        ("", False, ""),
        ("CC-BY-NC-4.0", False, "no commercial use"),
        ("CC-BY-NC-SA-4.0 (weights), Apache-2.0 (code)", True, "no commercial use, login needed"),
        ("MIT", True, "login needed"),
        ("cc-by-nc-4.0", False, "no commercial use"),
        ("STABILITY-AI-COMMUNITY", False, "no commercial use by companies of more than 1 million USD a year"),
    ],
)
def test_most_licences_ask_nothing(licence: str, gated: bool, said: str) -> None:
    assert licences.terms(licence, gated) == said


def test_what_forbids_some_use_is_downloaded_once_it_is_accepted(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    given = (
        r"w.safetensors: CC-BY-NC-4.0: no commercial use \(http.*w.safetensors\): .*--accept-licence CC-BY-NC-4.0 or AUDIO.*=CC-BY-NC-4.0$"
    )
    with pytest.raises(UserError, match=given):
        download.locate(weights(hub), "CC-BY-NC-4.0")
    licences.accept(["CC-BY-NC-SA-4.0"])  # of another name
    with pytest.raises(UserError, match="no commercial use"):
        download.locate(weights(hub), "CC-BY-NC-4.0")
    assert not hub.asked, "not a byte before"
    licences.accept(["cc-by-nc-4.0"])
    assert download.locate(weights(hub), "CC-BY-NC-4.0").read_bytes() == CONTENT
    assert capsys.readouterr().err.startswith("w.safetensors: CC-BY-NC-4.0: no commercial use (")
    os.environ[licences.ACCEPTED] = ""
    assert download.locate(weights(hub), "CC-BY-NC-4.0").read_bytes() == CONTENT, "what is here is not asked about"
    assert not capsys.readouterr().err


def test_a_licence_that_forbids_nothing_is_not_asked_about(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert download.locate(weights(hub), "MIT").read_bytes() == CONTENT
    assert not [line for line in capsys.readouterr().err.splitlines() if "MIT" in line]


def test_gated_weights_ask_for_a_token_before_the_hub_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    gated = Checkpoint("w.safetensors", "0" * 64, GATED, gated=True)
    asked: list[str] = []
    monkeypatch.setattr(download.HubFile, "download", lambda self, again: asked.append(self.repo) or Path("nowhere"))
    with pytest.raises(UserError, match=r"login needed \(https://huggingface.co/owner/name\): accept its licence .* HF_TOKEN"):
        download.locate(gated, "MIT")
    assert not asked
    monkeypatch.setattr(licences, "_token", lambda: "hf_secret")
    with pytest.raises(UserError, match="cannot read weights at nowhere"):
        download.locate(gated, "MIT")
    assert asked == ["owner/name"] and "login needed" in capsys.readouterr().err


def test_what_the_user_must_get_by_hand_is_said_with_its_terms() -> None:
    unknown = Checkpoint("w.safetensors", "", GATED)
    with pytest.raises(UserError, match=r"get https.*w.safetensors \(CC-BY-NC-4.0: no commercial use\) and give it with --weights"):
        download.locate(unknown, "CC-BY-NC-4.0")


def test_a_run_stops_before_anything_and_the_flag_lets_it_go_on(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variant = registry.variant("mulaw@8bit")
    fetched = replace(
        variant, spec=replace(variant.spec, licence="CC-BY-NC-4.0"), checkpoint=weights(hub), load=lambda spec, path: variant.load(spec)
    )
    monkeypatch.setattr(registry, "variants_of", lambda words, given: [fetched])
    words = ["check", "mulaw"]
    assert main(words) == 2
    assert "no commercial use" in capsys.readouterr().err and not hub.asked
    assert main([*words, "--accept-licence", "CC-BY-NC-4.0"]) in (0, 1) and hub.gets()  # its spec names no weights: another rule's matter


def test_list_and_show_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "tokenizers", "encodec@32khz"]) == 0
    assert capsys.readouterr().out.count("no commercial use") == 3
    assert main(["show", "encodec@32khz-2.2kbps"]) == 0
    assert "CC-BY-NC-4.0 (no commercial use)" in capsys.readouterr().out
    assert main(["list", "tokenizers", "dac"]) == 0
    assert "no commercial" not in capsys.readouterr().out
