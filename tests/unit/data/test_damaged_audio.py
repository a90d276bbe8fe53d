"""Damaged files end as Audio or as BadAudio, and nothing that a decoder says reaches the terminal. BENCH_FUZZ=10000 for more of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = int(os.environ.get("BENCH_FUZZ", "420"))
BATCH = 2500  # files of one process


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_a_damaged_file_is_heard_or_refused_and_nothing_is_printed(tmp_path: Path, first: int) -> None:
    count = min(BATCH, COUNT - first)
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.unit.data.mutated_audio", str(tmp_path), str(count), str(first)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, timeout=30 + count, env={**os.environ, "OMP_NUM_THREADS": "1"})
    where = f"at file {(tmp_path / 'at').read_text()}"
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), where
    found = json.loads((tmp_path / "done").read_text())
    assert found["audio"] + found["bad"] == count and min(found.values()) > count / 5, found
    if COUNT > BATCH:
        print(found)
