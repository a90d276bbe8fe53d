"""bench from Python: names and objects in, DataFrames out, and no row of another tokenizer used again."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import bench
from bench.api import Codebook, Spec, UserError
from bench.python.objects import variant_of
from tests.conftest import ROOT

SPEC = Spec("mine", "4bit", 8_000, (Codebook(16, 8_000),))


class Mine(torch.nn.Module):
    def __init__(self, gain: float = 1.0):
        super().__init__()
        self.spec, self.gain = SPEC, torch.nn.Parameter(torch.tensor(gain))

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        return (((wav * self.gain).clamp(-1, 1) + 1) * 7.5).round().long()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return codes / 7.5 - 1


class Plain:
    spec = SPEC

    def __init__(self, shift: int = 0):
        self.shift = shift

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        return ((wav.clamp(-1, 1) + 1) * 7.5).round().long()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return decoded(codes) + self.shift


def decoded(codes: torch.Tensor) -> torch.Tensor:
    return codes / 7.5 - 1


@pytest.fixture
def results(make_data: Callable[..., Path], tmp_path: Path) -> bench.Results:
    return bench.evaluate([Mine(), "mulaw"], data=make_data(3, seconds=1.0), results=tmp_path / "results", workers=1)


def test_an_object_and_a_name_give_rows_a_summary_a_table_and_a_comparison(results: bench.Results, tmp_path: Path) -> None:
    rows, summary, table, compared = results.to_dataframe(), results.summary(), results.table(), results.compare()
    assert set(rows["tokenizer"]) == set(summary["tokenizer"]) == set(table.index) == {"mine@4bit", "mulaw@8bit"}
    line = summary[(summary.tokenizer == "mine@4bit") & (summary.domain == "speech") & (summary.metric == "stoi")].iloc[0]
    values = rows[(rows.tokenizer == "mine@4bit") & (rows.domain == "speech") & (rows.metric == "stoi")]["value"]
    assert line["n"] == 2 and line["mean"] == pytest.approx(values.mean()) and table.columns[0] == "kbps_packed"
    assert set(compared["reference"].dropna()) == {"mine@4bit"} and bool(compared["difference"].notna().to_numpy().any())
    again = bench.load_results(tmp_path / "results")
    assert len(again.runs) == 2 and len(again.to_dataframe()) == len(rows)
    assert "mine@4bit" in repr(results) and "mulaw@8bit" in results._repr_html_()


def test_a_comparison_names_its_reference(results: bench.Results) -> None:
    assert set(results.compare(reference="mulaw")["reference"].dropna()) == {"mulaw@8bit"}
    with pytest.raises(UserError, match="no tokenizer of these results"):
        results.compare(reference="opus")


def test_other_parameters_attributes_or_helpers_are_another_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert variant_of(Mine()).code == variant_of(Mine()).code != variant_of(Mine(0.5)).code
    before = variant_of(Plain()).code
    assert before == variant_of(Plain()).code != variant_of(Plain(1)).code
    monkeypatch.setattr(sys.modules[__name__], "decoded", lambda codes: codes / 15)
    assert variant_of(Plain()).code != before


def test_what_is_no_tokenizer_is_one_line() -> None:
    with pytest.raises(UserError, match="needs encode, decode and a spec"):
        bench.evaluate(object())  # type: ignore[arg-type]
    with pytest.raises(UserError, match="two tokenizers are called mine@4bit"):
        bench.evaluate([Mine(), Plain()])


def test_a_loaded_tokenizer_takes_any_rate_and_tells_the_rate_of_what_it_gives() -> None:
    codec = bench.load_tokenizer("mulaw")
    codes = codec.encode(torch.zeros(2, 2, 24_000), 48_000)
    wav, rate = codec.decode(codes)
    assert tuple(codes.shape) == (2, 1, 8_000) and (tuple(wav.shape), rate) == ((2, 1, 8_000), 16_000)
    assert tuple(codec.encode(torch.zeros(160).numpy(), 16_000).shape) == (1, 1, 160)
    with pytest.raises(ValueError, match="wav must be"):
        codec.encode(torch.zeros(0), 16_000)


def test_a_script_without_a_main_guard_is_not_run_again_by_the_workers(make_data: Callable[..., Path], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"print('once')\nimport bench\nbench.evaluate('mulaw', data={str(make_data(1))!r}, results={str(tmp_path / 'r')!r})\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True
    )
    assert done.stdout.count("once") == 1


def test_import_is_light_and_names_its_version() -> None:
    code = (
        "import time; t = time.perf_counter(); import bench, sys; print(time.perf_counter() - t, 'torch' in sys.modules, bench.__version__)"
    )
    took, torch_there, version = min(subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split() for _ in range(3))
    assert float(took) < 0.1 and torch_there == "False" and version[0].isdigit()
    assert {"evaluate", "score", "load_results", "load_tokenizer", "__version__"} <= set(dir(bench))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bench.nothing  # type: ignore[attr-defined]  # noqa: B018
