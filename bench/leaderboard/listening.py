"""Samples of the leaderboards: the worst, median and best clips of the bundled corpus, original and through every tokenizer of the boards.

leaderboards/audio/<id>.js hold the audio (bench/listening/carrier.py), audio.json says of which tokenizer and clip each is. Encoders
differ from one machine to the next in the last bit, so the files are made once for each tokenizer and then known by their sha256; they
are made again when the tokenizer, the corpus or the choice of clips has changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.api import Audio, Clip, Data, UserError
from bench.data.audio import read_clip, resample, to_channels
from bench.leaderboard.aggregate import FIRST, Board
from bench.listening import carrier, page, picks, samples
from bench.listening.page import Shown, Sound
from bench.records.reader import Kept
from bench.records.writer import key_of, replace
from bench.report import marks

CORPUS = "mini"
ORIGINAL = "original"
FOLDER, LIST, PAGE = "audio", "audio.json", "listening.html"
COUNTS = {"speech": 3, "music": 1, "general": 1}  # clips of each domain
FACTOR, LEAST, MOST = 4, 40_000, 72_000  # bit/s that carry a reconstruction: this many times its own rate, within bounds
HIGHEST_RATE = 32_000  # Hz of a stored original: pictures and most codecs end at 16 kHz


@dataclass(frozen=True)
class Chosen:
    """A clip of the corpus, and why it is heard."""

    clip: Clip
    why: str


def chosen(boards: Sequence[Board], data: Data) -> tuple[Chosen, ...]:
    """The clips, by the mean of a score over the tokenizers of the first board; none where no board has scores of the corpus."""
    runs = [e.run for board in boards if board.suite == FIRST and board.first.identity["data"] == data.sha256 for e in board.entries]
    coded = [run for run in runs if not run.reference]
    clips = {clip.id: clip for clip in data.clips}
    return tuple(Chosen(clips[pick.clip], pick.why) for pick in picks.picks(coded, COUNTS))


def heard(runs: Mapping[str, Kept]) -> dict[str, Kept]:
    """The tokenizers worth hearing: that give audio back, and neither the original itself nor another clip."""
    return {
        label: run
        for label, run in runs.items()
        if run.tokenizer["decodes"] and not run.tokenizer.get("shuffled") and run.tokenizer["name"] != "identity"
    }


def labels(folder: Path) -> list[str]:
    """The tokenizers whose samples lie there."""
    return [label for label in _list(folder) if label != ORIGINAL]


def render(folder: Path, boards: Sequence[Board], runs: Mapping[str, Kept], data: Data) -> str:
    """The page of what lies there; "" where nothing does."""
    entries, clips = _list(folder), chosen(boards, data)
    if ORIGINAL not in entries or not clips:
        return ""
    shown = [_shown(pick, entries) for pick in clips if pick.clip.id in entries[ORIGINAL]["files"]]
    names = {label: marks.marked(label, marks.of_run(run)) for label, run in heard(runs).items() if label in entries}
    scored = [entry.run for board in boards if board.suite == FIRST for entry in board.entries]
    carried = (
        f"Originals are carried without loss, at {HIGHEST_RATE / 1000:g} kHz at most, mono; reconstructions as Opus of {FACTOR} times "
        f"their own bitrate, from {LEAST / 1000:g} to {MOST / 1000:g} kbit/s, for the sake of size: scores are of the audio itself. "
        "A delay that a tokenizer states is taken out."
    )
    orders = "Clips were chosen from the corpus by their scores, as the line above the player says, not by ear."
    words = {"title": "Listen", "made_by": "bench leaderboard", "back": "index.html", "back_text": "Leaderboards"}
    return page.listening(
        page.facts(shown, scored, names), notes=[carried, orders, *marks.line(marks.of_run(runs[label]) for label in names)], **words
    )


def _shown(pick: Chosen, entries: Mapping[str, Mapping]) -> Shown:
    clip, original = pick.clip, entries[ORIGINAL]["files"][pick.clip.id]
    tracks = {label: _sound(e["files"][clip.id]) for label, e in entries.items() if label != ORIGINAL and clip.id in e["files"]}
    rate = entries[ORIGINAL]["rates"][clip.id]
    return Shown(clip.id, clip.domain, pick.why, clip.text, entries[ORIGINAL]["seconds"][clip.id], rate, _sound(original), tracks)


def _sound(facts: Mapping) -> Sound:
    """A line of the list; null stands for the gain of what is silent."""
    return Sound(**{**facts, "match_db": math.nan if facts["match_db"] is None else facts["match_db"]})


def _list(folder: Path) -> dict[str, dict]:
    path = folder / LIST
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for entry in found.values():
            assert entry["key"], "a label without its key"
            for facts in entry["files"].values():
                _sound(facts)
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise UserError(f"{path}: not the list of the samples ({error}): delete the folder {folder}, and make it again") from error


def key(facts: Mapping[str, object], clips: Sequence[Chosen], data: Data) -> str:
    """What the samples of a tokenizer depend on: its spec, and the clips."""
    return key_of({"tokenizer": facts, "clips": [pick.clip.sha256 for pick in clips], "corpus": data.sha256, "form": 2})


def wrong(folder: Path, boards: Sequence[Board], runs: Mapping[str, Kept], data: Data) -> list[str]:
    """What does not fit: samples of other weights, files that are not those of the list. A label without samples is fine."""
    entries, clips, facts = _list(folder), chosen(boards, data), _facts(runs)
    lines = [f"{folder}: samples of {label}, which is on no board" for label in sorted(entries.keys() - facts.keys())]
    for label in entries.keys() & facts.keys():
        lines += _faults(folder, label, entries[label], key(facts[label], clips, data))
    return sorted(lines) + [f"{path}: nobody's sample" for path in _strangers(folder, entries)]


def _facts(runs: Mapping[str, Kept]) -> dict[str, Mapping]:
    return {ORIGINAL: {}, **{label: run.tokenizer for label, run in heard(runs).items()}}


def _faults(folder: Path, label: str, entry: Mapping, wanted: str) -> Iterator[str]:
    if entry["key"] != wanted:
        yield f"{folder}: samples of another {label}, or of other clips"
    for facts in entry["files"].values():
        path = folder.parent / facts["file"]
        try:
            carrier.content_of(path)
        except UserError as error:
            yield f"{error}, for {label}"


def _strangers(folder: Path, entries: Mapping[str, Mapping]) -> list[Path]:
    known = {facts["file"] for entry in entries.values() for facts in entry["files"].values()}
    return sorted(path for path in folder.glob("*.js") if f"{FOLDER}/{path.name}" not in known)


def make(folder: Path, boards: Sequence[Board], runs: Mapping[str, Kept], data: Data) -> Iterator[str]:
    """Makes the samples that are lacking or of something else, and takes away those of nobody; tells what it did."""
    clips, facts = chosen(boards, data), _facts(runs)
    known = _list(folder)
    entries = {label: entry for label, entry in known.items() if label in facts}
    for label in sorted(known.keys() - entries.keys()):
        yield f"audio of {label} taken away: it is on no board"
    originals = {pick.clip.id: _original(pick.clip) for pick in clips}
    for label in facts if clips else ():
        wanted = key(facts[label], clips, data)
        if label in entries and not any(_faults(folder, label, entries[label], wanted)):
            continue
        try:
            made = _originals(folder, originals) if label == ORIGINAL else _tracks(folder, runs[label], boards, data, clips, originals)
        except UserError as error:
            entries.pop(label, None)
            yield f"no audio of {label}: {error}"
            continue
        entries[label] = {"key": wanted, **made}
        yield f"audio of {label}: {len(made['files'])} clips"
    if entries or known:
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / LIST, json.dumps(entries, indent=1, sort_keys=True) + "\n")
    for path in _strangers(folder, entries):
        path.unlink()


def _original(clip: Clip) -> Audio:
    """A clip in one channel, at no higher rate than is stored."""
    audio = read_clip(clip)
    rate = min(audio.sample_rate, HIGHEST_RATE)
    return Audio(resample(to_channels(audio.wav, 1), audio.sample_rate, rate), rate)


def _originals(folder: Path, originals: Mapping[str, Audio]) -> dict[str, dict]:
    sounds = {clip: page.sound(folder.parent, FOLDER, audio.wav[0], audio.sample_rate) for clip, audio in originals.items()}
    return {
        "files": {clip: _line(sound) for clip, sound in sounds.items()},
        "seconds": {clip: round(audio.wav.shape[-1] / audio.sample_rate, 6) for clip, audio in originals.items()},
        "rates": {clip: audio.sample_rate for clip, audio in originals.items()},
    }


def _line(sound: Sound) -> dict[str, object]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(sound).items()}


def _tracks(
    folder: Path, run: Kept, boards: Sequence[Board], data: Data, clips: Sequence[Chosen], originals: Mapping[str, Audio]
) -> dict[str, dict]:
    rates = _rates(boards, run.label)
    files: dict[str, dict] = {}
    for clip, audio in samples.through(run, data, [pick.clip for pick in clips]):
        original = originals[clip]
        bitrate = min(MOST, max(LEAST, 8000 * round(FACTOR * rates.get(clip, math.inf) / 8))) if clip in rates else MOST
        sound = page.sound(folder.parent, FOLDER, audio.wav[0], audio.sample_rate, bitrate, (original.wav[0], original.sample_rate))
        files[clip] = _line(sound)
    return {"files": files}


def _rates(boards: Sequence[Board], label: str) -> dict[str, float]:
    """Clip -> measured kbit/s."""
    found = [e.run for board in boards if board.suite == FIRST for e in board.entries if e.label == label]
    return {clip: row.value for run in found for (_, m), rows in run.scores.items() if m == "kbps_packed" for clip, row in rows.items()}
