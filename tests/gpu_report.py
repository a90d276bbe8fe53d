"""All that waits for a GPU, in one command, the smallest first; each part is kept as it comes, and a second call goes on: make gpu-report

    python -m tests.gpu_report --out results/gpu-report --minutes 25
    python -m tests.gpu_report --out /tmp/proof --device cpu --tiny     the same parts with small models: proves that they run

A part is a command of the project, run in a process of its own, so that one that fails or hangs costs itself alone. Speeds of published
configurations, with random weights, are runs of the suite `throughput` in RESULTS, where `bench leaderboard` and `bench plot speed` find
them. `report.md` is written after every part; `parts.json` beside it says what is done, `logs` what each one printed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bench import registry
from bench.records import hardware

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "untrained"
BENCH, PYTEST = ("-m", "bench"), ("-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider")
CODEC_SPEED = "tests/perf/test_codec_speed.py"
BESIDE = ("encodec-24khz", "encodec-48khz", "dac-44khz", "mimi", "snac-24khz", "speechtokenizer", "xcodec", "qwen3_tts", "hubert-l9")
SWEEP = "batch=1,8,32,128,512 seconds=10 dtype=float32,bfloat16,float16 mode=eager,compiled,graph"
SMALL_SWEEP = "batch=1,2 seconds=1 dtype=float32,bfloat16 mode=eager,compiled"
TRAINED = ("encodec", "dac", "mimi", "wavtokenizer", "soundstream")
LINES = 40  # of what a part printed, in the report


@dataclass(frozen=True)
class Part:
    """A command, arguments of this Python, and what it is for."""

    name: str
    about: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    most: float = 300.0  # s

    @property
    def told(self) -> str:
        """As a user types it."""
        words = [f"{key}={value}" for key, value in self.environment.items()]
        return " ".join([*words, "python", *(f"'{word}'" if set(word) & set(" *") else word for word in self.command)])


def parts(out: Path, device: str, tiny: bool) -> Iterator[Part]:
    """In the order in which they run."""
    yield Part("machine", "what is here", (*BENCH, "doctor"))
    yield Part("cuda tests", "tests that need a GPU", (*PYTEST, "-rs", "-m", "cuda", "tests/unit"))
    yield Part("contract", "every family's small model keeps the contract there", (*BENCH, "check", "*@tiny", "--device", device), most=600)
    yield from scoring(out, device, tiny)
    yield from training(out, device, tiny)
    yield from beside_official(device, tiny)
    yield from throughput(out, device, tiny)


def scoring(out: Path, device: str, tiny: bool) -> Iterator[Part]:
    """The same clips scored on the device and by worker processes; recognized in batches."""
    for place in dict.fromkeys((device, "cpu")):
        where = ("--device", place, "--results", str(out / "scores" / place), "--fresh", "--verbose")
        data = ("--data", "mini", *(("--limit", "2") if tiny else ()))
        yield Part(f"scoring on {place}", "reconstruction", (*BENCH, "run", "--tokenizer", "mulaw", *data, *where))
        asr = ("--suite", "asr", "--asr-model", "pocketsphinx" if tiny else "faster-whisper/base")
        yield Part(f"asr on {place}", "word error rates of originals", (*BENCH, "run", "--tokenizer", "identity", *asr, *data, *where))


def training(out: Path, device: str, tiny: bool) -> Iterator[Part]:
    """Seconds a step of every recipe."""
    for family in TRAINED[:1] if tiny else TRAINED:
        steps = ("--steps", "2" if tiny else "60", "--device", device, "--out", str(out / "training" / family))
        yield Part(f"training {family}", "seconds a step", (*BENCH, "train", family, "--data", "tasks/data/grammar", *steps))


def beside_official(device: str, tiny: bool) -> Iterator[Part]:
    """Codes and audio equal to the official code's on the same weights, and the ratio of their times."""
    for family in BESIDE[:1] if tiny else BESIDE:
        size = {"SPEED_SECONDS": "1", "SPEED_TURNS": "1", "SPEED_BATCHES": "1"} if tiny else {"SPEED_TURNS": "5", "SPEED_BATCHES": "1,32"}
        command = (*PYTEST, CODEC_SPEED, "-m", "perf", "-s", "-k", device)
        yield Part(f"official {family}", "parity and speed beside the official code", command, {"SPEED_FAMILIES": family, **size})


def throughput(out: Path, device: str, tiny: bool) -> Iterator[Part]:
    """Every published configuration with random weights; the default of each family first."""
    results, sweep = (out / "speeds", SMALL_SWEEP) if tiny else (RESULTS, SWEEP)
    for label in ["mimi@tiny", "mulaw@8bit"] if tiny else published():
        asked = ("--tokenizer", label, "--suite", "throughput", "--sweep", sweep, "--data", "mini", "--limit", "3")
        where = (*(() if tiny else ("--untrained",)), "--device", device, "--results", str(results))
        yield Part(f"speed {label}", "time, memory and energy", (*BENCH, "run", *asked, *where))
    table = (*BENCH, "compare", "--results", str(results), "--suite", "throughput", "--format", "markdown", "*")
    yield Part("speeds", "all of them beside each other", table)


def published() -> list[str]:
    """One variant of each set of weights that others published, or that a user fits: those that only use fewer codebooks take as long.

    The first of every family comes before the second of any.
    """
    known: dict[str, dict[str, str]] = {}
    for family, found in registry.families().items():
        for variant in found.values():
            if variant.checkpoint and not variant.spec.trained_here:
                known.setdefault(family, {}).setdefault(variant.checkpoint.url, variant.spec.label)
    ordered = sorted((i, label) for labels in known.values() for i, label in enumerate(labels.values()))
    return [label for _, label in ordered]


def run(part: Part, log: Path, seconds: float) -> dict[str, object]:
    """Runs it for so long at most, with all that it prints in `log`; gives what is known of it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | dict(part.environment)
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *part.command],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(seconds)
            state = "done" if code == 0 else f"failed, exit code {code}"
        except subprocess.TimeoutExpired:
            state = f"stopped after {seconds:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its workers, too: they would keep the card while the next part is timed
            process.wait()
    return {"state": state, "seconds": round(time.monotonic() - start, 1), "command": part.told}


def last_lines(log: Path) -> str:
    """What a part printed last; lines that a bar has written over are left out."""
    lines = [line.split("\r")[-1].rstrip() for line in log.read_text(errors="replace").splitlines()] if log.exists() else []
    return "\n".join([line for line in lines if line][-LINES:])


def page(all_parts: Sequence[Part], known: Mapping[str, dict[str, object]], out: Path, device: str) -> str:
    """The report: the machine, what became of each part, and what it printed."""
    facts = hardware.record(device)
    head = ["# GPU report", "", f"{facts['processor']}, {facts['cores']} CPU cores, torch {facts['torch']}, device {device}.", ""]
    rows = ["| part | what | state | s |", "|---|---|---|---:|"]
    for part in all_parts:
        found = known.get(part.name, {"state": "not reached", "seconds": ""})
        rows.append(f"| {part.name} | {part.about} | {found['state']} | {found['seconds']} |")
    told = [
        f"\n## {part.name}\n\n`{part.told}`\n\n```text\n{last_lines(place(out, part))}\n```" for part in all_parts if part.name in known
    ]
    return "\n".join([*head, *rows, *told, ""])


def place(out: Path, part: Part) -> Path:
    """The file of what it prints."""
    return out / "logs" / (part.name.replace(" ", "-").replace("/", "-") + ".log")


def report(out: Path, device: str, tiny: bool, minutes: float) -> bool:
    """Runs what is not done while there is time; True where all is done."""
    end, file, planned = time.monotonic() + 60 * minutes, out / "parts.json", list(parts(out, device, tiny))
    known: dict[str, dict[str, object]] = json.loads(file.read_text()) if file.exists() else {}
    for part in planned:
        left = end - time.monotonic()
        finished = known.get(part.name, {})
        if (finished.get("state"), finished.get("command")) == ("done", part.told) or left <= 0:
            continue
        print(f"{part.name}: {part.told}", flush=True)
        known[part.name] = run(part, place(out, part), min(part.most, left))
        print(f"    {known[part.name]['state']}, {known[part.name]['seconds']} s", flush=True)
        file.write_text(json.dumps(known, indent=1))
        (out / "report.md").write_text(page(planned, known, out, device))
    (out / "report.md").write_text(page(planned, known, out, device))
    return all(known.get(part.name, {}).get("state") == "done" for part in planned)


def main() -> int:
    """Exit code 1 where something failed or was not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "gpu-report", help="folder of the report; a second call goes on")
    parser.add_argument("--minutes", type=float, default=25.0, help="start nothing after so long (default: %(default)g)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "", help="default: cuda")
    parser.add_argument("--tiny", action="store_true", help="small models, few steps")
    options = parser.parse_args()
    if not options.device:
        print("no GPU here: on a CPU, --device cpu --tiny proves that every part runs", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    whole = report(options.out.resolve(), options.device, options.tiny, options.minutes)
    print(f"report: {options.out / 'report.md'}" + ("" if whole else "; call again for what is not done"))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
