"""Memory, and the times to start and to answer, of 1,000, 10,000 and 100,000 clips.

Run: python -m pytest tests/perf/test_many_clips.py -m perf -s
About 20 minutes and 1 GB of small files on two cores. MANY_CLIPS=1000,10000 measures these numbers only.
"""

import os
from pathlib import Path

import pytest

from tests.perf.many_clips import measured

pytestmark = pytest.mark.perf
NUMBERS = [int(number) for number in os.environ.get("MANY_CLIPS", "1000,10000,100000").split(",")]
FLAT, ANSWER = 1.10, 3.0


def test_memory_is_flat_and_a_finished_run_answers_at_once(tmp_path: Path) -> None:
    found = [measured(clips, tmp_path) for clips in NUMBERS]
    for t in found:
        print(
            f"\n{t.clips} clips: opened in {t.first_open:.2f} s, again in {t.open:.2f} s; run {t.run:.0f} s, at most {t.peak:.0f} MB; "
            f"finished, it answers in {t.answer:.2f} s with {t.answer_peak:.0f} MB"
        )
    assert max(t.peak for t in found) < FLAT * found[0].peak
    assert all(t.answer < ANSWER for t in found)
