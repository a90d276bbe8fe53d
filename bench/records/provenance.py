"""Which code runs: its commit, where it runs from a checkout, and the versions of packages."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("bench", "tokenizers", "tasks", ":!bench/board")  # what a score can depend on

SIGNALS = ("audio-tokenizer-bench", "torch", "numpy", "soxr", "soundfile", "pesq", "pyworld", "av", "pycodec2", "transformers")
JUDGES = ("jiwer", "openai-whisper", "pocketsphinx", "resemblyzer")


def packages() -> dict[str, str]:
    """The versions of those that are installed and that a score can depend on."""
    return {name: version for name in (*SIGNALS, *JUDGES) if (version := _version(name))}


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
