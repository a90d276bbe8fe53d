"""Half precision on a CPU is compared with float32 before anything is scored; what is wrong is refused by name."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import registry
from bench.api import Codebook, Spec, UserError, Variant
from bench.cli import main
from bench.engine import precision_proof
from bench.engine.autocast import lowered
from bench.engine.precision_proof import compared, refusal

RATE = 16_000


class Strided(nn.Module):
    """Two convolutions, the second of a shape that some processors get wrong."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec = spec
        torch.manual_seed(0)
        self.first, self.second = nn.Conv1d(1, 16, 3, padding=1), nn.Conv1d(16, 32, 12, 6, padding=6)

    def encode(self, wav: Tensor) -> Tensor:
        return (self.second(self.first(F.pad(wav, (0, 12)))).float().mean(1, keepdim=True).sigmoid() * 15).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        return (codes / 7.5 - 1).float().repeat_interleave(6, -1)


STRIDED = Variant(Spec("strided", "v", RATE, (Codebook(16, RATE / 6),)), Strided)


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose bfloat16 convolutions of that shape are wrong by 100 %."""
    right = precision_proof.computed

    def computed(func: Callable[..., Tensor], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        made = right(func, args, kwargs)
        weight = args[1] if len(args) > 1 else None
        bad = "conv" in str(func) and isinstance(weight, Tensor) and list(weight.shape) == [32, 16, 12] and weight.dtype == torch.bfloat16
        return made.flip(1) if bad else made

    monkeypatch.setattr(precision_proof, "computed", computed)
    monkeypatch.setattr(precision_proof, "_PROVEN", {})
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)


@pytest.mark.usefixtures("wrong")
def test_a_wrong_convolution_is_refused_with_its_layer_and_the_cure() -> None:
    tokenizer = registry.load_tokenizer(lowered(STRIDED, "bfloat16"))
    with pytest.raises(UserError, match=r"strided@v: torch computes second \(Conv1d\) wrongly in bfloat16 on this processor") as caught:
        tokenizer.encode(torch.zeros(1, 1, RATE))
    assert "[32, 16, 12]" in str(caught.value) and "set ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 in the environment" in str(caught.value)


@pytest.mark.usefixtures("wrong")
def test_where_another_precision_is_right_it_is_not_refused() -> None:
    registry.load_tokenizer(lowered(STRIDED, "float16")).encode(torch.zeros(1, 1, RATE))


CODEC = """
import torch
from bench.api import Codebook, Spec, Variant
from tests.unit.engine.test_precision_proof import Strided
VARIANTS = {"v": Variant(Spec("strided", "v", 16_000, (Codebook(16, 16_000 / 6),)), Strided)}
"""


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("suite", ["codes", "throughput"])
def test_what_is_wrong_is_never_scored(
    suite: str, tmp_path: Path, make_data: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.py").write_text(CODEC)
    results = tmp_path / "r"
    words = ["run", "--suite", suite, "--tokenizer", str(tmp_path / "c.py"), "--data", str(make_data()), "--results", str(results)]
    if suite == "codes":
        assert main([*words, "--dtype", "bfloat16"]) == 2
        printed = capfd.readouterr()
        assert "wrongly in bfloat16" in printed.err and printed.err.count("\n") == 1 and not results.exists()
    else:
        main([*words, "--sweep", "batch=1 seconds=1 dtype=bfloat16"])
        (table,) = results.glob("throughput/*/sweep.csv")
        lines = [line for line in table.read_text().splitlines() if "bfloat16" in line]
        assert len(lines) == 2 and all("wrongly in bfloat16" in line for line in lines)


@pytest.mark.usefixtures("wrong")
def test_a_tokenizer_is_looked_at_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    variant = lowered(STRIDED, "float16")
    registry.load_tokenizer(variant).encode(torch.zeros(1, 1, RATE))
    monkeypatch.setattr(precision_proof, "_found", lambda *_: pytest.fail("looked again"))
    registry.load_tokenizer(variant).encode(torch.zeros(1, 1, RATE))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_alone_is_not_refused(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode(), compared([]) as wrong, torch.autocast("cpu", dtype):
        x = torch.randn(2, 64, 300, generator=generator)
        F.linear(x, torch.randn(50, 300, generator=generator))
        torch.einsum("bct,bdt->bcd", x, x)
        F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])
        F.conv_transpose1d(x, torch.randn(64, 8, 4, generator=generator), stride=2)
        F.conv1d(x * 0, torch.randn(8, 64, 1, generator=generator))
    assert refusal(wrong, dtype) == ""
