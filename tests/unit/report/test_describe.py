"""What `bench list` and `bench show` say of a tokenizer."""

import pytest

from bench.report.describe import tokenizers


@pytest.mark.parametrize(
    ("label", "place"),
    [
        ("snac@24khz", "user-supplied"),  # its place is known, its sha256 is not: it could not be proven
        ("encodec@32khz-2.2kbps", "user-supplied, no commercial use"),
        ("snac@tiny", "untrained"),
        ("mulaw@8bit", "none"),
    ],
)
def test_only_weights_that_can_be_proven_are_called_downloadable(label: str, place: str) -> None:
    _, lines = tokenizers()
    assert next(line[-1] for line in lines if line[0] == label) == place
