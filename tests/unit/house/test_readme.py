"""What the README promises is what runs; its blocks are run by test_docs."""

import re

from bench import registry
from tests.conftest import ROOT
from tests.documents import blocks

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_the_codec_of_the_readme_is_about_twenty_lines() -> None:
    (codec,) = (block for block in blocks(ROOT / "README.md") if block.language == "python")
    assert len([line for line in codec.text.splitlines() if line.strip()]) <= 20


def test_every_suite_has_a_line() -> None:
    assert all(f"| [`{suite}`](docs/suites/{suite}.md)" in README for suite in registry.suites())


def test_the_bundled_models_are_called_what_they_are_before_the_first_number() -> None:
    before = README.split("<!-- board:")[0]
    assert "small models trained by this project" in before and "not the published models" in before


def test_every_link_leads_to_a_file() -> None:
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", README)]
    assert targets and not [target for target in targets if not (ROOT / target).exists()]
