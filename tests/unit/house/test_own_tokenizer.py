"""docs/own-tokenizer.md, from recordings to the board: its blocks are run in their order, and what they leave is what the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.data.manifests import open_data
from bench.weights.download import sha256_of
from tests.conftest import ROOT
from tests.documents import blocks, checkout, run

PAGE = ROOT / "docs" / "own-tokenizer.md"
SOURCE = "https://name.example/my_codec"
MADE = ("sh", "python", "toml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page was followed from its beginning to its end."""
    place = tmp_path_factory.mktemp("own")
    env = checkout(place)
    for block in blocks(PAGE):
        assert block.language in MADE
        if not block.missing:
            run(block, place, env)
    return place


@pytest.mark.slow
def test_the_data_are_prepared_and_none_of_it_is_the_boards(folder: Path) -> None:
    ready = open_data(str(folder / "ready"))
    assert len(ready.clips) == 60 and all(clip.speaker and clip.text for clip in ready.clips)
    assert not {clip.sha256 for clip in ready.clips} & {clip.sha256 for clip in open_data("mini").clips}


@pytest.mark.slow
def test_training_learnt_and_kept_the_recipe_of_the_page(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    mel = [line["mel"] for line in lines if "of" in line]
    assert lines[-1]["step"] == 60 and mel[-1] < 0.7 * mel[0]
    recipe = json.loads((folder / "run" / "recipe.json").read_text())
    assert (recipe["batch"], recipe["loss"]["wave"], recipe["loss"]["stft"]) == (4, 1.0, 20.0)
    if (folder / "curve.svg").exists():  # extra: plot
        assert "held-out stoi" in (folder / "curve.svg").read_text()


@pytest.mark.slow
def test_the_card_is_of_the_weights_beside_the_codec(folder: Path) -> None:
    card = (folder / "my_codec.md").read_text()
    assert sha256_of(folder / "my_codec.safetensors") in card and open_data(str(folder / "ready")).sha256 in card
    assert card.index("mel_distance is no independent measure") < card.index("## Data and licences")


@pytest.mark.slow
def test_the_board_has_its_row_and_its_record_says_that_nobody_ran_it_again(folder: Path) -> None:
    (added,) = (folder / "trial" / "runs" / "reconstruction").glob("my_codec@800bps-*")
    record = json.loads((added / "run.json").read_text())
    assert sha256_of(folder / "my_codec.safetensors") in json.dumps(record["identity"])
    rows = (folder / "trial" / "board" / "reconstruction.csv").read_text().splitlines()
    assert any(row.startswith("my_codec@800bps") for row in rows) and any(row.startswith("mimi@mini") for row in rows)
    assert record["submission"] == {"author": "A. Name <a@name.example>", "licence": "MIT", "recomputed": False, "source": SOURCE}
    assert (folder / "trial" / "board" / "tokenizers" / "my_codec@800bps.html").is_file()


def test_every_step_of_the_page_is_there() -> None:
    said = " ".join(command for block in blocks(PAGE) if block.language == "sh" for command in block.commands)
    steps = ("data prepare", "check", "train", "plot training", "show", "run", "compare", "leaderboard --add")
    places = [said.index(f"bench {step}") for step in steps]
    assert places == sorted(places)
