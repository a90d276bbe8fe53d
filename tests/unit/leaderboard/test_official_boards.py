"""Rows of published weights: fetched from a hub, run on data of one's own, and on a board, without a network.

The hub is a server on this machine; its file is made by the official class, transformers' EncodecModel at the published configuration of
48 kHz with random weights, so that names and shapes are those of the real file. Lyra's own weights are taken from where they lie.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bench.data.manifests import all_names
from bench.records.reader import read
from tests.conftest import REAL, ROOT
from tests.hub import Hub, serve

CLIPS = ("speech_slt_boy", "speech_rms_boy")
ADDRESS = re.compile(r"https://huggingface\.co/(?P<repo>[^/]+/[^/]+)/resolve/[^/]+/(?P<file>.+)")
LYRA = REAL / "lyra"
# The registry's pinned digest is that of the real file: here it is that of the file that the official class made.
COMMAND = """
import sys
from dataclasses import replace
from bench.cli import main
from bench.tokenizers import encodec
sha256, words = sys.argv[1], sys.argv[2:]
for name, variant in list(encodec.VARIANTS.items()):
    if name.startswith("48khz-"):
        checkpoint = replace(variant.checkpoint, sha256=sha256)
        encodec.VARIANTS[name] = replace(variant, checkpoint=checkpoint, spec=replace(variant.spec, weights=f"sha256:{sha256}"))
sys.exit(main(words))
"""


@dataclass
class Bench:
    """`bench leaderboard` in a process of its own, as the hub's library reads its variables once."""

    root: Path
    sha256: str
    environment: dict[str, str]

    def __call__(self, *words: str) -> str:
        command = [sys.executable, "-c", COMMAND, self.sha256, "leaderboard", *words, "--results", "runs", "--out", "boards", "--no-audio"]
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Bench]]:
    """The hub with the file, and the command beside two clips."""
    transformers = pytest.importorskip("transformers")
    import torch

    from bench.tokenizers.encodec import CHECKPOINTS

    root = tmp_path_factory.mktemp("official")
    data = root / "two"
    data.mkdir()
    lines = []
    for clip in CLIPS:
        shutil.copy(ROOT / "tasks" / "data" / "mini" / "audio" / f"{clip}.flac", data)
        lines.append(json.dumps({"path": f"{clip}.flac", "speaker": clip.split("_")[1]}))
    (data / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    config = transformers.EncodecConfig(
        target_bandwidths=[3.0, 6.0, 12.0, 24.0],
        sampling_rate=48_000,
        audio_channels=2,
        normalize=True,
        chunk_length_s=1.0,
        overlap=0.01,
        use_causal_conv=False,
        norm_type="time_group_norm",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.EncodecModel(config).save_pretrained(root / "made")
    content = (root / "made" / "model.safetensors").read_bytes()
    place = ADDRESS.fullmatch(CHECKPOINTS["48khz"].url)
    assert place
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    environment |= {"AUDIO_TOKENIZER_BENCH_CACHE": str(root / "cache"), "HF_HOME": str(root / "hf"), "PYTHONPATH": str(ROOT)}
    with serve() as hub:
        hub.files[f"{place['repo']}/{place['file']}"] = content
        yield hub, Bench(root, hashlib.sha256(content).hexdigest(), environment | {"HF_ENDPOINT": hub.endpoint})


RUN = ("--run", "reconstruction", "--data", "two/manifest.jsonl", "--downloads", "--device", "cpu")


@pytest.mark.slow
def test_weights_of_the_hub_are_fetched_run_and_on_a_board_and_a_second_time_nothing_is(official: tuple[Hub, Bench]) -> None:
    hub, bench = official
    licence = next(iter(re.findall(r"CC-BY-NC-[\d.]+", said := bench(*RUN, "--tokenizer", "encodec@48khz-3kbps"))), "")
    if licence:  # asked for before the first byte
        assert "left out: encodec@48khz-3kbps" in said and not hub.gets()
    agreed = ("--accept-licence", licence) if licence else ()
    first = bench(*RUN, "--tokenizer", "encodec@48khz-3kbps,opus@12kbps", *agreed)
    assert first.count("2 clips now, 0 before") >= 1 and [a.path.endswith("/model.safetensors") for a in hub.gets()] == [True]
    (folder,) = (bench.root / "runs" / "reconstruction").glob("encodec@48khz-3kbps-*")
    run = read(folder)
    assert not run.unfinished and run.tokenizer["weights"] == f"sha256:{bench.sha256}"
    assert {row.clip for row in run.rows if row.metric == "pesq_wb"} == {f"{clip}.flac" for clip in CLIPS}
    board = (bench.root / "boards" / "reconstruction.csv").read_text()
    assert board.startswith("tokenizer,") and "\nencodec@48khz-3kbps,reconstruction" in board and "\nopus@12kbps," in board
    assert "encodec@48khz-3kbps" in (bench.root / "boards" / "index.html").read_text()
    hub.asked.clear()
    again = bench(*RUN, "--tokenizer", "encodec@48khz-3kbps", *agreed)
    assert "0 clips now, 2 before" in again and not hub.gets() and "written" not in again
    assert "as the runs have it" in bench("--check")


@pytest.mark.slow
def test_what_cannot_be_fetched_is_named_and_the_others_run(official: tuple[Hub, Bench]) -> None:
    hub, bench = official
    said = bench(*RUN, "--tokenizer", "mimi@24khz,mulaw@8bit", "--accept-licence", "CC-BY-NC-4.0")  # the hub has no Mimi
    assert "left out: mimi@24khz: " in said and "404" in said and re.search(r"mulaw@8bit-\w+: 2 clips now", said)


def test_the_official_weights_of_lyra_go_the_same_way(official: tuple[Hub, Bench]) -> None:
    if not LYRA.is_dir():
        pytest.skip(f"Lyra's weights are not at {LYRA}")
    from bench.tokenizers.lyra import VARIANTS

    _, bench = official
    for file in VARIANTS["3.2kbps"].files:  # the place where a file may be put by hand
        place = bench.root / "cache" / file.file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(path for path in LYRA.iterdir() if hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256), place)
    said = bench(*RUN, "--tokenizer", "lyra@3.2kbps")
    assert re.search(r"lyra@3.2kbps-\w+: 2 clips now", said)
    lines = (bench.root / "boards" / "reconstruction.csv").read_text().splitlines()
    (row,) = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines if line.startswith("lyra@3.2kbps,")]
    assert 1.8 < float(row["speech.pesq_wb"]) < 3.2, "codes, not noise: the real weights give about 2.4"


def test_the_make_target_asks_for_downloads_on_every_data_set_in_a_folder_of_its_own() -> None:
    made = ["make", "--dry-run", "--assume-old=.venv/installed-test", "boards-official"]
    made += ["ARGS=--tokenizer x", "OFFICIAL_DATA=open data/test-clean"]
    done = subprocess.run(made, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True).stdout
    assert "for data in open data/test-clean" in done and "--run reconstruction --run codes --downloads --data $data" in done
    assert "--results results/official/$name --out leaderboards/official/$name" in done and "--tokenizer x" in done
    usual = subprocess.run(made[:4], cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True).stdout
    assert "for data in open librispeech/test-clean;" in usual and set("open librispeech/test-clean".split()) <= set(all_names())


def test_the_workflow_is_started_by_hand_alone_and_its_scripts_are_bash() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "boards.yml").read_text(encoding="utf-8"))
    assert list(workflow[True]) == ["workflow_dispatch"]  # YAML reads the word `on` as true
    assert set(workflow[True]["workflow_dispatch"]["inputs"]) == {"runner", "torch", "data", "suites", "tokenizers", "licences"}
    steps = workflow["jobs"]["boards"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        assert "${{" not in script, "what was typed would be run"
    assert any("make boards-official" in script for script in scripts) and any("gh pr create" in script for script in scripts)
    cached = [step["with"]["path"] for step in steps if "actions/cache" in step.get("uses", "")]
    assert cached == ["results/official"] * 2, "a run that was stopped goes on"


def test_rows_of_official_weights_are_committed_and_nothing_else_of_the_runs() -> None:
    run = "results/official/open/reconstruction/mimi@24khz-01234567"
    names = [f"{run}/{name}" for name in ("run.json", "rows.csv", "codes.npz", "rows.csv.lock")]
    done = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("no checkout of git")
    assert done.stdout.split() == names[2:]
