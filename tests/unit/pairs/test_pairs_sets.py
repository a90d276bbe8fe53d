"""Sets of pairs in folders of their own layout, small ones made here."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import UserError
from bench.pairs.options import Options, parse, refuse_missing
from bench.pairs.sets import given


def wav(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(160, 0.1, dtype=np.float32), 16_000)


def lexical(folder: Path, part: str = "dev", lost: int = 0) -> Path:
    """Three words by two voices, as ZeroSpeech 2021 has them."""
    lines = ["id,filename,voice,frequency,word,phones,length,correct"]
    for number in range(3):
        for voice in "AB":
            for correct, word in ((1, "word"), (0, "werd")):
                name = f"f{number}{voice}{correct}"
                wav(folder / part / f"{name}.wav")
                lines.append(f"{number},{name},{voice},7,{word},W ER D,3,{correct}")
    (folder / part / "gold.csv").write_text("\n".join(lines[: len(lines) - lost]) + "\n")
    return folder


def test_swuggy_is_read_with_its_gold_file(tmp_path: Path) -> None:
    found = given([("swuggy", str(lexical(tmp_path) / "dev"))], 0, 0)
    assert [(pair.item, pair.voice) for pair in found.pairs] == [(str(i), v) for i in range(3) for v in "AB"]
    assert all(Path(found.clips[pair.right].path).stem == f"f{pair.item}{pair.voice}1" for pair in found.pairs)
    assert all(Path(found.clips[pair.wrong].path).stem == f"f{pair.item}{pair.voice}0" for pair in found.pairs)
    assert {pair.kind for pair in found.pairs} == {"swuggy"} and found.clips[found.pairs[0].right].speaker == "A"


def test_dev_and_test_of_a_set_are_read_together(tmp_path: Path) -> None:
    assert len(given([("swuggy", str(lexical(lexical(tmp_path), "test")))], 0, 0).pairs) == 12


def test_items_of_sblimp_are_known_by_type_and_number(tmp_path: Path) -> None:
    lines = ["id,filename,voice,type,subtype,transcription,correct"]
    for kind in ("anaphor", "island"):
        for correct in (1, 0):
            wav(tmp_path / f"{kind}{correct}.wav")
            lines.append(f"0,{kind}{correct},A,{kind},x,a sentence,{correct}")
    (tmp_path / "gold.csv").write_text("\n".join(lines))
    assert [pair.item for pair in given([("sblimp", str(tmp_path))], 0, 0).pairs] == ["anaphor-x-0", "island-x-0"]


@pytest.mark.parametrize("sign", ["_", "+"])
def test_files_that_begin_with_numbers_are_pairs_in_their_order(tmp_path: Path, sign: str) -> None:
    for number in range(12):  # 10 comes after 9, not after 1
        wav(tmp_path / f"{number}{sign}x.wav")
    found = given([("sblimp", str(tmp_path))], 0, 0).pairs
    assert [(pair.right, pair.wrong) for pair in found] == [(f"sblimp/{n}{sign}x", f"sblimp/{n + 1}{sign}x") for n in range(0, 12, 2)]


def test_numbered_files_that_lack_one_or_come_twice_are_refused(tmp_path: Path) -> None:
    for number in (0, 1, 2, 4):  # without a word, 2 would be told from 4
        wav(tmp_path / "dev" / f"{number}_x.wav")
    with pytest.raises(UserError, match="not without gaps"):
        given([("sblimp", str(tmp_path))], 0, 0)
    wav(tmp_path / "test" / "0_y.wav")
    with pytest.raises(UserError, match="have one number"):
        given([("sblimp", str(tmp_path))], 0, 0)


def test_salmon_has_a_kind_for_each_part(tmp_path: Path) -> None:
    for part in ("speaker_consistency", "bg_alignment"):
        for number in range(3):
            for which in (0, 1):
                wav(tmp_path / part / f"sample_{number}_{which}.wav")
    found = given([("salmon", str(tmp_path))], 0, 0).pairs
    assert [pair.kind for pair in found] == ["salmon_bg_alignment"] * 3 + ["salmon_speaker_consistency"] * 3
    assert (found[1].right, found[1].wrong) == ("salmon_bg_alignment/sample_1_0", "salmon_bg_alignment/sample_1_1")


def test_a_limit_takes_whole_items_of_each_kind(tmp_path: Path) -> None:
    found = given([("swuggy", str(lexical(tmp_path)))], 4, 0).pairs
    assert len(found) == 4 and len({pair.item for pair in found}) == 2
    assert found == given([("swuggy", str(tmp_path))], 4, 0).pairs
    assert {pair.item for seed in range(9) for pair in given([("swuggy", str(tmp_path))], 2, seed).pairs} == {"0", "1", "2"}


def test_folders_that_hold_something_else_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pairs of salmon are there"):
        given([("salmon", str(tmp_path))], 0, 0)
    with pytest.raises(UserError, match="item 2 by voice 'B' has 1 right and 0 wrong files"):
        given([("swuggy", str(lexical(tmp_path, lost=1)))], 0, 0)
    (tmp_path / "dev" / "gold.csv").write_text("id,filename\n")
    with pytest.raises(UserError, match="gold.csv:1: no column voice, correct"):
        given([("swuggy", str(tmp_path))], 0, 0)


def test_a_file_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    (lexical(tmp_path) / "dev" / "f0A1.wav").unlink()
    with pytest.raises(UserError, match="f0A1.wav: No such file or directory"):
        given([("swuggy", str(tmp_path))], 0, 0)


def test_options_are_told_apart_and_written_in_one_order(tmp_path: Path) -> None:
    found = parse(f"salmon={tmp_path}, seeds=3,swuggy=x,limit=10")
    assert found == Options(3, 10, (("swuggy", "x"), ("salmon", str(tmp_path))))
    assert parse(str(found)) == found and str(Options()) == ""
    with pytest.raises(UserError, match="swuggy=x: there is no such folder"):
        refuse_missing(found)


@pytest.mark.parametrize(
    ("text", "why"), [("seeds=0", "from 1 to 20"), ("seed=2", "did you mean seeds="), ("swuggy", "is none of"), ("x=1", "is none")]
)
def test_options_that_are_none_are_told(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        parse(text)
