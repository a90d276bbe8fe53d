"""Which code runs: its commit, where it runs from a checkout, and the versions of packages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("bench", "tokenizers", "tasks", ":!bench/leaderboard")  # what a score can depend on

EVERYWHERE = ("audio-tokenizer-bench", "torch", "numpy", "soxr", "soxr-library", "soundfile", "av")
OF_SUITES: Mapping[str, tuple[str, ...]] = {  # a suite that is not named may use any
    **{"reconstruction": ("pesq",), "robustness": ("pesq",), "mcd": ()},
    **{"asr": ("jiwer", "openai-whisper", "faster-whisper", "ctranslate2", "pocketsphinx"), "speaker": ("resemblyzer", "transformers")},
    **{"quality": ("visqol-python", "onnxruntime"), "codes": (), "lm": (), "pairs": (), "probe": (), "throughput": ()},
}
OF_FAMILIES: Mapping[str, tuple[str, ...]] = {"codec2": ("pycodec2",), "lyra": ("ai-edge-litert",)}
OF_EVALUATORS: Mapping[str, str] = {
    **{
        "openai-whisper": "whisper",
        "pocketsphinx": "pocketsphinx",
        "resemblyzer": "resemblyzer",
    },  # of faster-whisper's the normalisers, too
    **dict.fromkeys(("faster-whisper", "ctranslate2"), "faster_whisper"),
}


def packages() -> dict[str, str]:
    """The versions of those that are installed and that a score of any suite can depend on."""
    names = dict.fromkeys((*EVERYWHERE, *chain(*OF_SUITES.values()), *chain(*OF_FAMILIES.values())))
    return {name: version for name in names if (version := _version(name))}


def used(package: str, suite: str, families: Iterable[str], evaluator: str = "") -> bool:
    """Whether scores of these tokenizer families in that suite, given by that evaluator, can depend on the package."""
    if any(package in of_family for of_family in OF_FAMILIES.values()):
        return any(package in OF_FAMILIES.get(family, ()) for family in families)
    if evaluator and package in OF_EVALUATORS:
        return OF_EVALUATORS[package] in evaluator
    return suite not in OF_SUITES or package in (*EVERYWHERE, *OF_SUITES[suite])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit, "+" behind it where the code was changed since; "" where there is none to be had, as in an installed package."""
    if not (ROOT / ".git").exists():  # an environment may lie inside a repository that is not ours
        return ""
    head = _git("rev-parse", "HEAD")
    return head + "+" * bool(head and _git("status", "--porcelain", "--", *CODE))


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):  # no git: where a run was made is told without it
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
