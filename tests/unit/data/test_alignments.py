"""When each phone is spoken: the files that say so, what is wrong in them, and the times of the bundled corpora against their audio."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import Clip, UserError
from bench.data import alignments
from bench.data.alignments import Item, Phone, read, spelled
from bench.data.manifests import open_data

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "so ""called"" 7"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.3
            text = "S"
        intervals [3]:
            xmin = 0.3
            xmax = 0.5
            text = "OW1"
"""
SHORT = '"ooTextFile"\n"TextGrid"\n0\n0.5\n<exists>\n1\n"IntervalTier"\n"x"\n0\n0.5\n3\n0\n0.1\n""\n0.1\n0.3\n"S"\n0.3\n0.5\n"OW1"\n'
PHONES = (Phone("pau", 0.0, 0.1), Phone("S", 0.1, 0.3), Phone("OW", 0.3, 0.5))
ITEMS = "#file onset offset #phone prev-phone next-phone speaker\na 0.1 0.4 AH0 B T s1\nother 0.2 0.5 IY1 K T s1\n"


def clip(path: Path, text: str | bytes) -> Clip:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Clip("x/a.flac", Path("x/a.flac"), "", alignment=path)


def phones(path: Path, text: str | bytes) -> tuple[Phone, ...]:
    found = read(clip(path, text))
    assert found
    return found.phones


def test_both_forms_of_a_textgrid_and_a_ctm_file_say_the_same(tmp_path: Path) -> None:
    assert phones(tmp_path / "a.TextGrid", LONG) == phones(tmp_path / "b.TextGrid", SHORT) == PHONES
    assert phones(tmp_path / "c.TextGrid", LONG.encode("utf-16")) == PHONES
    lines = ";; a comment\nother 1 0 .2 K\na 1 0.3 0.2 OW1 0.98\na 1 0 0.1 SIL\na 1 0.1 0.2 S_B\n"
    assert phones(tmp_path / "a.ctm", lines) == PHONES


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.TextGrid", LONG[:-40], "ends too early"),
        ("a.TextGrid", LONG.replace('"phones"', '"tones"'), "which of the interval tiers words, tones"),
        ("a.TextGrid", "ooBinaryFile", "ends too early"),
        ("a.TextGrid", '"ooTextFile" "Pitch"', "no TextGrid"),
        ("a.TextGrid", SHORT.replace('0.1\n""', '"k"\n""'), "a number is wanted where the TextGrid has 'k'"),
        ("a.TextGrid", SHORT.replace("0.3\n0.5", "0.2\n0.5"), "phones overlap"),
        ("a.TextGrid", b'"\xff', "neither UTF-8 nor UTF-16 (byte 1)"),
        ("a.ctm", "a 1 0 0.1\n", "a.ctm:1: 4 cells"),
        ("a.ctm", "a 1 0 x S\n", "a.ctm:1: 'x' is no time in seconds"),
        ("a.ctm", "a 1 nan 0.1 S\n", "'nan' is no time"),
        ("a.ctm", "b 1 0 0.1 S\n", "no line of clip x/a.flac (it has b, ...)"),
        ("a.item", "a 0.1 0.4 AH B T s1\n", "a.item:1: the first line of an .item file is '#file onset"),
        ("a.item", ITEMS.replace("0.1 0.4", "0.4 0.4"), "a.item:2: the offset, 0.4, is not after the onset, 0.4"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(tmp_path: Path, name: str, text: str | bytes, says: str) -> None:
    with pytest.raises(UserError) as error:
        read(clip(tmp_path / name, text))
    assert says in str(error.value) and str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


def test_a_file_of_items_has_items_and_no_phones(tmp_path: Path) -> None:
    found = read(clip(tmp_path / "a.item", ITEMS))
    assert found and found.phones == () and found.items == (Item("AH", "B", "T", 0.1, 0.4, "s1"),)


def test_triphones_have_no_silence_and_no_gap() -> None:
    said = [Phone(name, i / 10, i / 10 + 0.1) for i, name in enumerate(["pau", "s", "ih", "k", "s", "pau"])]
    assert alignments.triphones(said) == (Item("ih", "s", "k", 0.1, 0.4), Item("k", "ih", "s", 0.2, 0.5))
    assert alignments.triphones([said[1], replace(said[2], start=0.25), said[3]]) == ()


def test_stress_and_place_are_no_part_of_a_name() -> None:
    assert list(map(spelled, ("AA1", "AA1_B", " t ", "spn", "<eps>", "a1", "oʊ"))) == ["AA", "AA", "t", "pau", "pau", "a1", "oʊ"]


def test_a_manifest_names_alignments_and_they_change_no_other_suites_data(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16_000)
    (tmp_path / "a.ctm").write_text("a 1 0 0.1 S\n")
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"path": "a.wav"}')
    without = open_data(str(tmp_path))
    manifest.write_text('{"path": "a.wav", "alignment": "a.ctm"}')
    with_it = open_data(str(tmp_path))
    assert without.sha256 == with_it.sha256 and alignments.fingerprint(without.clips) == ""
    assert with_it.clips[0].alignment == tmp_path / "a.ctm" and len(alignments.fingerprint(with_it.clips)) == 64
    for named, says in (("b.ctm", "does not exist"), ("a.wav", "a .TextGrid, .ctm or .item file is wanted"), ("../a.ctm", "leads out")):
        manifest.write_text(f'{{"path": "a.wav", "alignment": "{named}"}}')
        with pytest.raises(UserError, match=says):
            open_data(str(tmp_path))


@pytest.mark.parametrize("corpus", ["mini", "digits", "grammar"])
def test_the_bundled_times_are_those_of_the_audio(corpus: str) -> None:
    """Silence is silent, sibilants hiss (their sign changes most often), vowels are loud; and a clip ends with its last phone."""
    level: dict[str, list[float]] = {"pau": [], "s": [], "vowel": []}
    changes: dict[str, list[float]] = {"s": [], "vowel": []}
    vowels = {"aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"}
    for clip in open_data(corpus).clips:
        found = read(clip)
        if found is None:
            assert clip.domain != "speech"
            continue
        wave, rate = soundfile.read(clip.path)
        assert found.phones[0].start == 0 and abs(found.phones[-1].end - len(wave) / rate) < 0.05, clip.id
        for phone in found.phones:
            part = wave[round(phone.start * rate) : round(phone.end * rate)]
            kind = "vowel" if phone.name in vowels else phone.name
            if kind in level and len(part) > 0.02 * rate:
                level[kind].append(10 * np.log10(np.mean(part**2) / np.mean(wave**2) + 1e-9))
            if kind in changes and len(part) > 0.02 * rate:
                changes[kind].append(float(np.mean(part[1:] * part[:-1] < 0)) * rate / 2)
    assert np.median(level["pau"]) < -25 < -6 < np.median(level["vowel"])
    assert np.percentile(changes["s"], 10) > np.percentile(changes["vowel"], 90)
