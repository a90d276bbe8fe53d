"""One meaning of a name for every command, found without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import registry
from bench.api import UserError
from bench.catalog import names
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["mimi"], ["mimi@mini"]),
        (["mimi@24khz"], ["mimi@24khz"]),
        (["opus@*2*"], ["opus@12kbps", "opus@24kbps"]),
        (["*@700?"], ["codec2@700c"]),
        (["mimi,opus@12kbps", "mimi"], ["mimi@mini", "opus@12kbps"]),
        ([" mimi , opus@12kbps,"], ["mimi@mini", "opus@12kbps"]),
        (["kyutai/mimi"], ["mimi@24khz"]),
        (["Kyutai/Mimi"], ["mimi@24khz"]),
        (["https://huggingface.co/kyutai/mimi"], ["mimi@24khz"]),
        (["facebook/encodec_24khz,facebook/encodec_48khz"], ["encodec@24khz-6kbps", "encodec@48khz-6kbps"]),
        (["descript/dac_44khz"], ["dac@44khz"]),
        (["facebook/hubert-base-ls960"], ["hubert_kmeans@base-l9-km500"]),
        (["novateur/WavTokenizer-large-unify-40token"], ["wavtokenizer@large-unify-40tps"]),
        (["./my_codec.py@8bit", "mulaw"], ["./my_codec.py@8bit", "mulaw@8bit"]),
    ],
)
def test_a_name_means_these_tokenizers(words: list[str], labels: list[str]) -> None:
    assert names.tokenizers(words) == labels


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mimmi", "no tokenizer is called 'mimmi': did you mean 'mimi'? Families: "),
        ("opsu@12kbps", "did you mean 'opus@12kbps'?"),
        ("mimi@24k", "did you mean 'mimi@24khz'? mimi has mini, "),
        ("zzzz", "no tokenizer is called 'zzzz'. Families: "),
        ("kyutai/mimmi", "did you mean 'kyutai/mimi'?"),
        ("opus@*kHz", "no tokenizer is matched by 'opus@*kHz'. Families: "),
        (",", "no name is given"),
    ],
)
def test_a_wrong_name_names_the_nearest_and_the_families_but_not_every_variant(word: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        names.tokenizers([word])
    assert message in str(raised.value) and len(str(raised.value)) < 700


def test_where_one_tokenizer_is_wanted_several_are_refused() -> None:
    assert names.tokenizer("mimi") == "mimi@mini"
    with pytest.raises(UserError, match="names 6 tokenizers, and one is wanted"):
        names.tokenizer("opus@*")


def test_suites_are_names_lists_or_all() -> None:
    assert names.chosen_suites(["codes,asr", "codes"]) == ["codes", "asr"]
    assert names.chosen_suites(["all"]) == registry.suites()
    with pytest.raises(UserError, match="did you mean 'codes'"):
        names.chosen_suites(["coeds"])


def test_a_path_with_a_comma_is_one_name(tmp_path: Path) -> None:
    path = tmp_path / "a,b.py"
    path.touch()
    assert names.tokenizers([str(path)]) == [str(path)]


def test_a_list_may_be_longer_than_a_files_name() -> None:
    every = names.labels()
    assert len(",".join(every)) > 255 and names.tokenizers([",".join(every)]) == every


def test_every_hub_id_is_of_a_variant_that_is_there() -> None:
    assert set(names.hub_ids().values()) <= set(names.labels())
    assert all(name.count("/") == 1 for name in names.hub_ids())


def test_names_are_found_without_torch() -> None:
    code = "import sys; from bench.catalog import names; names.tokenizers(['mimi', 'opus@*', 'kyutai/mimi']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n", "the index is stale: python -m bench.catalog.index"
