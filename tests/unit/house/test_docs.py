"""The documentation builds without a warning, its shell and Python blocks run, and the columns, commands and flags that it names exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from bench import registry
from bench.evaluators import quality
from bench.metrics import METRICS
from tests.conftest import ROOT
from tests.documents import DOCUMENTS, blocks, checkout, named, run

PAGES = [path for path in DOCUMENTS if any(block.language in ("sh", "python") for block in blocks(path))]
ASKED = {"asr": "per", "codes": "units", "probe": "mel,label:NAME"}  # what the pages ask for beyond a suite's usual columns


def columns_of(name: str) -> set[str]:
    """Those of a suite, and those that it can be asked for."""
    suite = registry.load_suite(name)
    further = suite.with_asked(ASKED[name]).metrics if name in ASKED and suite.with_asked else ()
    return {metric.name for metric in (*suite.metrics, *further)}


COLUMNS = set[str]().union(*map(columns_of, registry.suites()))


def title(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def helped(verb: str) -> str:
    return subprocess.run([sys.executable, "-m", "bench", verb, "--help"], capture_output=True, text=True, cwd=ROOT, check=True).stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'audio-tokenizer-bench[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_pages_name_every_column_family_and_command(site: Path) -> None:
    columns, families = (site / "suites" / "columns.html").read_text(), (site / "tokenizers.html").read_text()
    assert not [name for name in COLUMNS if f"<code>{name}</code>" not in columns]
    assert not [name for name in registry.names() if f"<code>{name}</code>" not in families]
    assert {"run", "compare", "plot", "gate", "leaderboard", "train"} <= set(
        re.findall(r'id="bench-(\w+)"', (site / "cli.html").read_text())
    )
    functions = (site / "api" / "metrics.html").read_text()
    assert not [name for name, metric in METRICS.items() if metric.score and f"<code>{name}</code>" not in functions]


def test_no_page_is_left_with_a_mark(site: Path) -> None:
    assert not [path for path in site.rglob("*.html") if "generated:" in path.read_text() or "<!-- needs" in path.read_text()]


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = [m for path in site.rglob("*.html") for m in re.findall(r'(?:src|<link[^>]+href)="(https?:[^"]+)"', path.read_text())]
    assert not [address for address in loaded if "canonical" not in address]


def test_every_extra_that_is_for_users_is_on_the_first_page() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert not [name for name in extras.keys() - {"test", "perf", "dev", "docs", "opus", "pesq"} if f"`{name}`" not in page]


@pytest.mark.parametrize("path", PAGES, ids=title)
def test_commands_and_flags_exist(path: Path) -> None:
    for command in (command for block in blocks(path) if block.language == "sh" for command in block.commands):
        words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
        if words[0] != "bench" or words[1].startswith("-"):
            continue
        assert not [word for word in words if word.startswith("--") and word.split("=")[0] not in helped(words[1])], command
        for flag, names in zip(words, words[1:], strict=False):
            if flag in ("--columns", "--bd-rate", "--metric"):
                assert set(names.split(",")) <= COLUMNS | {"all"}, command


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=title)
def test_columns_in_the_text_exist(path: Path) -> None:
    """A word in backticks with an underscore, a `*` or `<model>` in it, is a column; what belongs to Python is in `others`."""
    others = {"opus@…", "my_codec", "wav_codec", "session_scores", *registry.families(), *quality.GROUPS}
    words = set(re.findall(r"(?<!`)`((?:[a-z0-9<>]+_)+[a-z0-9*<>]+|[a-z0-9]+_\*)`(?!`)", path.read_text(encoding="utf-8")))
    patterns = {word: re.sub(r"<model>", "*", word) for word in words - others}
    unknown = {word for word, pattern in patterns.items() if not any(fnmatch(name, pattern) for name in COLUMNS)}
    known_code = {
        "one_late",
        "load_tokens",
        "packed_bits",
        "stream_encoder",
        "stream_decoder",
        "sample_rate",
        "n_missing",
        "speaker_id",
        "client_id",
        "floats_to_codes",
        "codes_to_floats",
    }
    assert not unknown - known_code


RUN_ELSEWHERE = {"own-tokenizer.md"}  # test_own_tokenizer.py runs it, and looks at what it made


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow) if "docs" in path.parts else path for path in PAGES if path.name not in RUN_ELSEWHERE],
    ids=title,
)
def test_blocks_run(path: Path, tmp_path: Path) -> None:
    env = checkout(tmp_path)
    for block in blocks(path):
        if block.language in ("sh", "python") and not block.missing:
            run(block, tmp_path, env)


def test_the_librispeech_script_writes_a_manifest(tmp_path: Path) -> None:
    from bench.data.manifests import open_data

    (script,) = (block for block in blocks(ROOT / "docs" / "reproduce.md") if block.language == "python")
    (tmp_path / named(script)).write_text(script.text)
    folder = tmp_path / "test-clean" / "61" / "70968"
    folder.mkdir(parents=True)
    (folder / "61-70968.trans.txt").write_text("61-70968-0000 HE BEGAN A CONFUSED COMPLAINT\n")
    (folder / "61-70968-0000.flac").write_bytes((ROOT / "tasks" / "data" / "mini" / "audio" / "speech_slt_boy.flac").read_bytes())
    subprocess.run([sys.executable, named(script), "test-clean"], cwd=tmp_path, check=True)
    (clip,) = open_data(str(tmp_path / "test-clean" / "manifest.jsonl")).clips
    assert (clip.id, clip.speaker, clip.text) == ("61-70968-0000", "61", "HE BEGAN A CONFUSED COMPLAINT")
