"""README and docs as tests see them: their code blocks, and a shell in a folder that looks like the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(r'"""(?P<python>[\w/]+\.py)\b|# (?P<toml>[\w/]+\.toml):')
BLOCK = re.compile(r"(?:^ *<!-- needs: (?P<needs>[^>]+) -->\n\s*)?^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^ *```$", re.M | re.S)
PACKAGES = {
    **{"asr": "pocketsphinx", "speaker": "resemblyzer", "quality": "visqol"},
    **{"plot": "matplotlib", "kmeans": "sklearn", "codec2": "pycodec2"},
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text without indentation, and what the mark above it says that it needs."""

    language: str
    text: str
    needs: tuple[str, ...]

    @property
    def missing(self) -> str:
        """Why it cannot be run here; "" where it can."""
        if away := [need for need in self.needs if need in ("download", "gpu", "data")]:
            return f"needs {away[0]}"
        absent = [need for need in self.needs if need in PACKAGES and find_spec(PACKAGES[need]) is None]
        return f"needs the extra {absent[0]}" if absent else ""

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments."""
        lines = re.sub(r"\\\n\s*", " ", self.text).splitlines()
        return [line for line in (re.sub(r"(^|\s+)#.*", "", line) for line in lines) if line]


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    found = BLOCK.finditer(path.read_text(encoding="utf-8"))
    return [
        Block(match["language"], textwrap.dedent(match["text"]), tuple(re.split(r", *", match["needs"].strip())) if match["needs"] else ())
        for match in found
    ]


def checkout(folder: Path) -> dict[str, str]:
    """Makes the folder look like the checkout (nothing a block writes reaches the real one) and gives the environment to run blocks in."""
    for name in ("tasks", "tokenizers", "leaderboards", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "results").mkdir()
    for name in ("boards", "untrained"):
        (folder / "results" / name).symlink_to(ROOT / "results" / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "activate").touch()  # the programs below stand for what it would bring
    programs = folder / ".programs"
    programs.mkdir()
    shims = {
        "bench": f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m bench "$@"',
        "python": f'PYTHONPATH="{ROOT}" exec "{sys.executable}" "$@"',
        "make": f'exec /usr/bin/env -u MAKEFLAGS PATH=/usr/bin:/bin make --dry-run -C "{ROOT}" "$@"',  # what it would do, and no more
        "pip": f'exec "{sys.executable}" -m pip "$1" --dry-run --no-deps --no-index --find-links . "${{@:2}}" || true',
    }
    for name, text in shims.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "COLUMNS": "140"}


def run(block: Block, folder: Path, env: dict[str, str]) -> str:
    """The output of a block, which must succeed; one of Python or TOML called `name.py: ...` is written to that file, any other is run."""
    if block.language in ("python", "toml"):
        (folder / (named(block) or "block.py")).write_text(block.text, encoding="utf-8")
        if named(block):
            return ""
    script = block.text if block.language == "sh" else "python block.py"
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run([bash, "-euo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def named(block: Block) -> str:
    """The file that a block of Python or TOML says it is, "" for none."""
    found = NAMED.match(block.text)
    return Path(found["python"] or found["toml"]).name if found else ""
