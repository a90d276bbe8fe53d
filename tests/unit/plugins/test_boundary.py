"""The boundary to code that is anybody's: what it raises, prints, changes and gives, as notes, on stderr, put back and named."""

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import TOKENIZER_FAILED, Codebook, Spec, UserError, Variant
from bench.cli import main
from bench.conformance.rules import check
from bench.engine.codec_stage import _code
from bench.plugins import boundary
from bench.plugins.streams import stdout_to_stderr

SPEC = Spec("toy", "v", 8_000, (Codebook(16, 8_000.0),))
PLUGIN = """{head}
import torch
from bench.api import Codebook, Spec, Variant
class C:
    def __init__(self, spec):
        {init}
        self.spec = spec
    def encode(self, wav):
        {encode}
        return ((wav.clamp(-1, 1) + 1) * 7.5).round().long()
    def decode(self, codes):
        return codes / 7.5 - 1
VARIANTS = {{"v": Variant(Spec("toy", "v", 8_000, (Codebook(16, 8_000),)), C)}}
"""


class Toy:
    def __init__(self) -> None:
        self.spec = SPEC

    def encode(self, wav: Tensor) -> Tensor:
        return ((wav.clamp(-1, 1) + 1) * 7.5).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        return codes / 7.5 - 1


def written(folder: Path, head: str = "", init: str = "pass", encode: str = "pass", name: str = "c.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(PLUGIN.format(head=head, init=init, encode=encode))
    return folder / name


def note(encode: object = None, decode: object = None) -> str:
    """Of a tokenizer that gives those in place of tensors."""
    toy = Toy()
    if encode is not None:
        toy.encode = lambda wav: encode  # type: ignore[assignment, return-value]
    if decode is not None:
        toy.decode = lambda codes: decode  # type: ignore[assignment, return-value]
    return _code(toy, "cpu", torch.zeros(1, 1, 100), True).failure


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((torch.zeros(1, 1, 5, dtype=torch.int64), None), "gave a tuple (a tensor [1, 1, 5] of int64, None)"),
        ([torch.zeros(2)], "gave a list (a tensor [2] of float32)"),
        (np.zeros((1, 1, 5), dtype=np.int64), "gave a numpy array [1, 1, 5] (torch.from_numpy makes a tensor of it)"),
        ({"codes": 1}, "gave a dict"),
        ("codes", "gave a str"),
        (False, "gave False"),
    ],
)
def test_codes_that_are_no_tensor_are_named_with_what_was_wanted(given: object, said: str) -> None:
    assert note(encode=given) == f"{TOKENIZER_FAILED}TypeError: encode must give codes, a torch.Tensor [B, K, F] of int64, and {said}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((torch.zeros(1, 1, 100),), "and gave a tuple (a tensor [1, 1, 100] of float32)"),
        (np.zeros(5), "and gave a numpy array"),
        (torch.zeros(1, 1, 100, dtype=torch.int16), "and gave a tensor [1, 1, 100] of int16"),
        (torch.zeros(1, 100), "decode must give audio [1, 1, T], got [1, 100]"),
    ],
)
def test_audio_that_is_none_is_named(given: object, said: str) -> None:
    assert said in note(decode=given)


def test_nothing_in_place_of_codes_or_audio_is_named() -> None:
    toy = Toy()
    toy.decode = lambda codes: None  # type: ignore[assignment]
    assert "and gave None" in _code(toy, "cpu", torch.zeros(1, 1, 9), True).failure
    toy.encode = lambda wav: None  # type: ignore[assignment]
    assert "and gave None" in _code(toy, "cpu", torch.zeros(1, 1, 9), False).failure


@pytest.mark.parametrize(
    "error", [SystemExit(0), SystemExit("bye"), KeyboardInterrupt(), GeneratorExit(), StopIteration(), ValueError("x")]
)
def test_whatever_a_thread_of_the_codec_raises_is_a_note(error: BaseException) -> None:
    found: list[str] = []

    def fail(wav: Tensor) -> Tensor:
        raise error

    def work() -> None:
        toy = Toy()
        toy.encode = fail
        found.append(_code(toy, "cpu", torch.zeros(1, 1, 9), True).failure)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0].startswith(TOKENIZER_FAILED)


def test_ctrl_c_in_the_main_thread_stays_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt), boundary.guarded():
        raise KeyboardInterrupt


def test_in_place_writes_change_neither_the_input_nor_the_codes() -> None:
    class InPlace(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            return super().encode(wav.mul_(0.5))

        def decode(self, codes: Tensor) -> Tensor:
            return super().decode(codes.mul_(0))

    wav = torch.linspace(-1, 1, 100)[None, None]
    before = wav.clone()
    coded = _code(InPlace(), "cpu", wav, True)
    assert torch.equal(wav, before) and torch.equal(coded.codes, Toy().encode(before * 0.5))


def test_working_folder_and_default_type_are_put_back(tmp_path: Path) -> None:
    before = Path.cwd()
    with boundary.guarded():
        os.chdir(tmp_path)
        torch.set_default_dtype(torch.float64)
    assert Path.cwd() == before and torch.get_default_dtype() == torch.float32


def test_prints_of_every_kind_go_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with stdout_to_stderr():
        print("by python")
        os.write(1, b"by descriptor\n")
        subprocess.run([sys.executable, "-c", "print('by process')"], check=True)
        sys.__stdout__.write("by the first stdout\n") if sys.__stdout__ else None
    print("ours")
    printed = capfd.readouterr()
    assert printed.out == "ours\n" and all(f"by {who}" in printed.err for who in ("python", "descriptor", "process"))


def test_a_contract_check_names_what_came_and_where(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(written(tmp_path, encode="print('in'); raise SystemExit(0)"))]) == 1
    out = capfd.readouterr().out
    assert "fail  codes: it called exit(0) (c.py:9)" in out and "in\n" not in out


def test_parameters_without_named_weights_are_a_warning_not_a_failure() -> None:
    class Learned(torch.nn.Module, Toy):
        def __init__(self) -> None:
            super().__init__()
            self.spec = SPEC
            self.layer = torch.nn.Linear(2, 3)

    (found,) = (f for f in check(Variant(SPEC, lambda spec: Learned()), Learned) if f.name == "weights")
    assert found.outcome == "warn" and "has 9 parameters" in found.detail


ERRORS = [
    ({"head": "x = 1 / 0"}, "c.py:1: ZeroDivisionError: division by zero"),
    ({"init": 'raise OSError("no checkpoint at /models/x.pt")'}, "c.py:6: OSError: no checkpoint at /models/x.pt"),
    ({"init": "import sys; sys.exit()"}, "c.py:6: it called exit()"),
    ({"head": "import argparse; argparse.ArgumentParser().parse_args()"}, "c.py:1: RuntimeError: it reads the command line"),
    ({"head": "import sys; path = sys.argv[1]"}, "c.py:1: RuntimeError: it reads the command line"),
    ({"head": "exit(3)"}, "c.py:1: it called exit(3)"),
    ({"head": "def f(:"}, "c.py:1: SyntaxError"),
    ({"head": "import beside"}, "beside.py:2: NameError: name 'y' is not defined"),
    ({"init": "return"}, "c.py: what it loads is a C and lacks spec (self.spec = spec)"),
]


@pytest.mark.parametrize(("code", "said"), ERRORS)
@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_file_that_cannot_be_loaded_is_one_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], code: dict[str, str], said: str, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, **code)
    (tmp_path / "beside.py").write_text("x = 1\ny\n")
    words = ["check", "./c.py"] if verb == "check" else ["run", "--tokenizer", "./c.py", "--limit", "1"]
    assert main(words) == 2
    printed = capfd.readouterr()
    assert printed.err.startswith("error: ") and said in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert not (tmp_path / "results").exists()


def test_a_folder_may_have_an_at_sign_in_its_name(tmp_path: Path) -> None:
    path = written(tmp_path / "me@corp")
    assert registry.variant(str(path)).spec.label == registry.variant(f"{path}@v").spec.label == "toy@v"
    with pytest.raises(UserError, match="has no variant 'w'"):
        registry.variant(f"{path}@w")


def test_a_codec_that_changes_the_working_folder_disturbs_no_relative_path(
    tmp_path: Path, make_data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_data(6)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    written(tmp_path, head="import os, time", encode=f"os.chdir({str(tmp_path / 'elsewhere')!r}); time.sleep(0.05)")
    words = ["run", "--tokenizer", "c.py", "--suite", "codes", "--data", "data", "--results", "r", "--format", "csv"]
    assert main(words) == 0, capfd.readouterr().err
    assert list(tmp_path.glob("r/codes/*/rows.csv")) and not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.filterwarnings("ignore")
def test_strict_warnings_and_numpy_errors_of_a_file_stay_its_own(tmp_path: Path) -> None:
    head = "import numpy, warnings\nnumpy.seterr(all='raise')\nwarnings.filterwarnings('error')"
    registry.load_tokenizer(str(written(tmp_path, head=head)))
    assert warnings.warn("no error", stacklevel=1) is None and np.isinf(np.float64(1) / np.float64(0))
