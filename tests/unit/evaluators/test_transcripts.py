"""transcripts.csv: a line for each clip."""

import csv
from pathlib import Path

from bench.evaluators.transcripts import Transcripts


def test_ids_that_differ_in_their_spaces_only_are_two_clips(tmp_path: Path) -> None:
    found = Transcripts(tmp_path, fresh=True)
    for clip in ("a b", "a  b", "a\u202fb"):
        found.keep(clip, "en", "one\ntwo", "", "")
    found.finish()
    with (tmp_path / "transcripts.csv").open(newline="") as file:
        _, *lines = csv.reader(file)
    assert [line[:3] for line in lines] == [["a  b", "en", "one two"], ["a b", "en", "one two"], ["a\u202fb", "en", "one two"]]
