"""What a tokenizer makes of one fixed sound is what it made when the golden files were written. Rewrite them with write.py, and say why."""

import json

import pytest
import torch
from write import FOLDER, covered, measure

from bench.api import UserError

SHARE = 0.98  # of stored codes that must be equal
LIBRARY = 0.1  # relative change of size that another version of a library may bring


@pytest.mark.parametrize("name", covered())
def test_makes_what_it_made(name: str) -> None:
    golden = json.loads((FOLDER / f"{name}.json").read_text())
    try:
        record = measure(name)
    except UserError as error:
        pytest.skip(str(error))
    assert record.keys() == golden.keys()
    exact = "codes_sha256" in golden
    for fact, expected in golden.items():
        found = record[fact]
        if fact == "codes":
            share = float((torch.tensor(found) == torch.tensor(expected)).double().mean())
            assert share >= SHARE, f"{100 * share:.1f} % of the codes are those of the golden file"
        elif fact == "bits":
            assert found == pytest.approx(expected, rel=LIBRARY)
        elif fact == "rms_by_quarter":
            assert found == pytest.approx(expected, rel=1e-5 if exact else 0.1, abs=1e-6 if exact else 1e-3)
        elif fact == "snr_db":
            assert found == pytest.approx(expected, abs=0.02 if exact else 1.0)
        else:
            assert found == expected, fact


def test_no_golden_file_is_left_of_a_tokenizer_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(covered())
