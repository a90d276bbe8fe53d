"""Sets of pairs that others published, read from folders of their own layout.

swuggy, sblimp  ZeroSpeech 2021's `lexical` and `syntactic`: a folder of .wav files with a gold.csv (id, filename, voice, correct and more;
                of sblimp type and subtype, too), or a folder of such folders. Also slamkit's: files whose names begin with a number and
                "_" or "+", the right one of a pair before the wrong one.
salmon          SALMon's: a folder for each part, in it sample_<number>_<which>.wav, the right one of a pair first.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.api import Clip, UserError
from bench.pairs.quads import Pair, drawn
from bench.pairs.sounds import Sounds

GOLD = "gold.csv"
NEEDED = ("id", "filename", "voice", "correct")
ITEM = ("type", "subtype", "id")  # what names an item, as far as there are such columns
SALMON = (
    *("bg_alignment", "bg_all_consistency", "bg_domain_consistency", "gender_consistency"),
    *("rir_consistency", "sentiment_alignment", "sentiment_consistency", "speaker_consistency"),
)
KINDS: Mapping[str, tuple[str, ...]] = {"swuggy": ("swuggy",), "sblimp": ("sblimp",), "salmon": tuple(f"salmon_{part}" for part in SALMON)}
"""What is asked by the pairs of each set, as columns name it."""


def given(sets: Sequence[tuple[str, str]], most: int, seed: int) -> Sounds:
    """All pairs of sets, each a name and its folder; of each kind `most` at most, drawn by items; 0: all."""
    clips: dict[str, Clip] = {}
    pairs: list[Pair] = []
    for name, folder in sets:
        found = list(_salmon(Path(folder)) if name == "salmon" else _spoken(name, Path(folder)))
        if not found:
            raise UserError(f"{folder}: no pairs of {name} are there: see the layout in docs/suites/pairs.md")
        for pair, right, wrong in _some(found, most, seed):
            pairs.append(pair)
            clips[pair.right], clips[pair.wrong] = _clip(pair.right, right, pair.voice), _clip(pair.wrong, wrong, pair.voice)
    return Sounds(tuple(pairs), clips, {})


Found = tuple[Pair, Path, Path]


def _some(found: Sequence[Found], most: int, seed: int) -> Iterator[Found]:
    """All pairs of the items that come first in a drawn order, until there are enough of their kind."""
    by_kind: dict[str, dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        by_kind[one[0].kind][one[0].item].append(one)
    for items in by_kind.values():
        left = most or len(found)
        for item in drawn(items, seed) if most else items:
            yield from items[item][:left]
            left -= len(items[item][:left])


def _spoken(kind: str, folder: Path) -> Iterator[Found]:
    tables = sorted(folder.rglob(GOLD))
    for table in tables:
        yield from _gold(kind, table, "/".join((kind, *table.parent.relative_to(folder).parts)))
    if not tables:
        yield from _numbered(kind, folder)


def _gold(kind: str, table: Path, place: str) -> Iterator[Found]:
    """The n-th right one of an item and voice with the n-th wrong one; `place`: what their names begin with."""
    sides: dict[tuple[str, str], tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if lacking := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
            raise UserError(f"{table}:1: no column {', '.join(lacking)}: the first line of a {GOLD} of ZeroSpeech 2021 names them")
        for line in reader:
            if line["correct"] not in ("0", "1"):
                raise UserError(f"{table}:{reader.line_num}: correct is {line['correct']!r}: give 1 or 0")
            item = "-".join(line[name] for name in ITEM if line.get(name))
            sides[item, line["voice"]][line["correct"] == "0"].append(table.parent / f"{line['filename'].removesuffix('.wav')}.wav")
    for (item, voice), (right, wrong) in sides.items():
        if len(right) != len(wrong):
            raise UserError(f"{table}: item {item} by voice {voice!r} has {len(right)} right and {len(wrong)} wrong files: give as many")
        for a, b in zip(right, wrong, strict=True):
            yield Pair(kind, item, voice, f"{place}/{a.stem}", f"{place}/{b.stem}"), a, b


def _numbered(kind: str, folder: Path) -> Iterator[Found]:
    numbers: dict[int, Path] = {}
    for path in sorted(folder.rglob("*.wav")):
        if found := re.match(r"\d+(?=[_+])", path.name):
            if (other := numbers.setdefault(int(found[0]), path)) != path:
                raise UserError(f"{path} and {other} have one number: name the folder of one of them")
    order = sorted(numbers)
    if order and (len(order) % 2 or order != list(range(order[0], order[0] + len(order)))):
        raise UserError(f"{folder}: the numbers of its {len(order)} files are not without gaps, in twos: copy the set again")
    for a, b in zip(order[::2], order[1::2], strict=True):
        right, wrong = numbers[a], numbers[b]
        yield Pair(kind, str(a), "", f"{kind}/{right.stem}", f"{kind}/{wrong.stem}"), right, wrong


def _salmon(folder: Path) -> Iterator[Found]:
    for part in SALMON:
        samples: dict[int, list[Path]] = defaultdict(list)
        for path in sorted((folder / part).glob("sample_*.wav")):
            cells = path.stem.split("_")
            if len(cells) < 3 or not cells[1].isdecimal():
                raise UserError(f"{path}: a file of SALMon is called sample_<number>_<which>.wav")
            samples[int(cells[1])].append(path)
        for number, files in sorted(samples.items()):
            if len(files) != 2:
                raise UserError(f"{files[0]}: sample {number} of {part} has {len(files)} files: a pair has two")
            kind, (right, wrong) = f"salmon_{part}", files
            yield Pair(kind, str(number), "", f"{kind}/{right.stem}", f"{kind}/{wrong.stem}"), right, wrong


def _clip(name: str, path: Path, voice: str) -> Clip:
    try:
        return Clip(name, path.absolute(), hashlib.sha256(path.read_bytes()).hexdigest(), speaker=voice)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}: the set of pairs names a file that cannot be read") from error
