"""Where a run says that it comes from."""

import subprocess

import pytest

from bench.records import provenance
from tests.conftest import ROOT


def test_a_run_from_a_checkout_names_the_commit() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()
    assert head and provenance.commit.__wrapped__() in (head, f"{head}+")


def test_what_a_score_can_depend_on_is_in_the_checkout() -> None:
    assert all((ROOT / name.removeprefix(":!")).is_dir() for name in provenance.CODE)
