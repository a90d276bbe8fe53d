"""A recipe as a file: what it names differs, everything else stays, and what no recipe has is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api import UserError
from bench.cli import main
from bench.train import loop
from bench.train.adversarial import AdversarialConfig
from bench.train.loop import recipe_of, train
from bench.train.recipe_files import KEPT, keep, read
from bench.train.recipes import FURTHER, OWN, RECIPES, UNIT_RECIPES, Recipe
from tests import training


def of(tmp_path: Path, text: str, base: object = OWN) -> object:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return read(path, base)  # type: ignore[type-var]


def test_what_a_file_names_differs_and_everything_else_stays(tmp_path: Path) -> None:
    text = "batch = 2\nrate = 1\nbetas = [0.5, 0.9]\n[loss]\nmel = 3\nscales = [[512, 32]]\n[augment]\nspeeds = [1.0]\n"
    loss = replace(OWN.loss, mel=3.0, scales=((512, 32),))
    wanted = replace(OWN, batch=2, rate=1.0, betas=(0.5, 0.9), loss=loss, augment=replace(OWN.augment, speeds=(1.0,)))
    assert of(tmp_path, text) == wanted
    assert of(tmp_path, "", UNIT_RECIPES["hubert_kmeans"]) == UNIT_RECIPES["hubert_kmeans"]


def test_a_table_gives_discriminators_to_a_recipe_without_any(tmp_path: Path) -> None:
    made = of(tmp_path, "[adversarial]\nstart = 50\nkind = 'squares'\n[adversarial.shape]\nperiods = [2]\n")
    config = AdversarialConfig(50, kind="squares")
    assert made == replace(OWN, adversarial=replace(config, shape=replace(config.shape, periods=(2,))))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bach = 4", "did you mean 'batch'"),
        ("batch = 0", "batch must be at least 1"),
        ("pool = -5", "pool must be at least 0"),
        ("batch = 1.5", "batch must be a whole number"),
        ("batch = true", "batch must be a whole number"),
        ("rate = nan", "rate must be a number"),
        ("rate = 0", "rate must be above 0"),
        ("bf16 = 1", "bf16 must be true or false"),
        ("loss = 3", r"loss is a table: write \[loss\]"),
        ("betas = [0.5]", "betas must be a list of 2"),
        ("[adversarial]\nkind = 'soft'", "kind must be one of hinge, squares"),
        ("batch 4", "is no TOML"),
    ],
)
def test_what_no_recipe_has_is_an_error_of_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        of(tmp_path, text)
    assert "\n" not in str(error.value) and "recipe.toml" in str(error.value)


def test_the_recipe_that_a_run_keeps_is_read_as_it_was(tmp_path: Path) -> None:
    for recipe in (*RECIPES.values(), *FURTHER.values(), *UNIT_RECIPES.values()):
        (tmp_path / KEPT).unlink(missing_ok=True)
        keep(recipe, tmp_path)
        blank = replace(recipe, seconds=9.0)
        assert read(tmp_path / KEPT, blank) == recipe


def test_a_run_goes_on_with_the_recipe_that_it_began_with(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = str(make_data(3, seconds=1.0, rate=24_000))
    quick = replace(training.QUICK, plain=1)
    train("mimi", data, tmp_path / "run", 2, variant="tiny", recipe=quick)
    with pytest.raises(UserError, match=r"another recipe \(rate, loss differ\): go on with --recipe .*recipe\.json"):
        train(
            "mimi",
            data,
            tmp_path / "run",
            3,
            variant="tiny",
            recipe=replace(quick, rate=1.0, loss=replace(quick.loss, mel=2.0)),
            resume=True,
        )


def test_a_run_from_trained_weights_has_the_recipe_of_further_training_where_there_is_one() -> None:
    further = recipe_of("wavtokenizer", Path("w"))
    assert isinstance(further, Recipe) and further.adversarial and recipe_of("wavtokenizer") == RECIPES["wavtokenizer"]
    assert recipe_of("mimi", Path("w")) == RECIPES["mimi"]


@pytest.mark.parametrize(
    ("words", "wanted"), [(["--weights", "w"], FURTHER), (["--weights", "w", "--new-codebooks"], RECIPES), ([], RECIPES)]
)
def test_weights_ask_for_further_training(
    words: list[str], wanted: dict[str, Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(family: str, variant: str, data: str, recipe: Recipe, *_: object) -> None:
        raise UserError("further" if replace(recipe, bf16=True) == FURTHER[family] else "first")

    monkeypatch.setattr(loop.codec, "prepare", prepare)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("")
    for more in ([], ["--recipe", str(recipe)]):
        assert main(["train", "wavtokenizer", "--data", "mini", "--out", str(tmp_path / "out"), *words, *more]) == 2
        assert capsys.readouterr().err.strip().endswith("further" if wanted is FURTHER else "first")


def test_a_codec_in_a_file_of_its_own_has_the_recipe_of_small_ones() -> None:
    assert recipe_of("./my_codec.py@8bit") == OWN
    with pytest.raises(UserError, match="no recipe for 'opus'"):
        recipe_of("opus")


def test_a_training_that_is_stopped_says_what_is_kept_and_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", stop)
    words, out = ["train", "mimi", "--data", "mini", "--out", str(tmp_path), "--save-every", "70"], str(tmp_path)
    assert main(words) == 130
    assert (
        capfd.readouterr().err
        == "stopped: no checkpoint was written yet (one every 70 steps: --save-every), the same command begins again\n"
    )
    (tmp_path / "checkpoint.pt").touch()
    assert main(words) == main([*words, "--resume"]) == 130
    kept = f"stopped: the last checkpoint is kept in {out}, the same command"
    assert capfd.readouterr().err == f"{kept} with --resume goes on from there\n{kept} goes on from there\n"
