"""bench doctor: what is ready is said to be, and what is missing comes with the line that brings it."""

import json
from importlib import metadata
from pathlib import Path

import pytest

from bench.cli import main
from bench.commands import doctor
from bench.evaluators import packages


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    assert main(["doctor", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_versions_device_folders_and_every_extra_for_users_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    found = told(capsys)
    assert found["versions"]["torch"] == metadata.version("torch") and found["versions"]["core"] == "every package is here"
    assert {"codec2", "kmeans", "asr", "speaker", "plot", "hf", "energy"} <= set(found["extras"]) and "test" not in found["extras"]
    assert found["folders"]["cache"] == f"{tmp_path / 'cache'} (made when needed)"
    assert found["device"]["--device auto"] in ("cpu", "cuda") and "cores" in found["device"]["cpu"]
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{title}\n" in "\n" + out for title in found)


def test_what_is_missing_comes_with_its_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name in ("matplotlib", "pocketsphinx"):
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    found = told(capsys)
    assert found["extras"]["plot"] == "missing matplotlib: pip install 'audio-tokenizer-bench[plot]'"
    assert "pip install 'audio-tokenizer-bench[pocketsphinx]'" in found["evaluators"]["--suite asr --asr-model pocketsphinx"]


def test_a_package_of_the_core_that_is_missing_is_exit_code_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "core_packages", lambda: {"torch": "2", "soxr": "missing"})
    assert main(["doctor"]) == 1
    assert "missing soxr: pip install audio-tokenizer-bench" in capsys.readouterr().out


def test_requirements_of_an_installation_are_read_as_those_of_a_checkout() -> None:
    extras = {word.split("extra ==")[1].strip(" \"'") for word in doctor.requirements() if "extra ==" in word}
    assert {"plot", "asr", "all"} <= extras and any(word.startswith("torch") for word in doctor.requirements())
