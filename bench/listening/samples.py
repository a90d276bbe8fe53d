"""Clips of a few runs to be heard: from saved audio, or through the tokenizers once more; a page of them, all without loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from bench import registry
from bench.api import Audio, Clip, Data, UserError
from bench.data.audio import decode_file, read_clip, to_channels
from bench.data.manifests import partners
from bench.engine.codec_stage import reconstructions
from bench.listening import page, picks
from bench.listening.page import Shown
from bench.listening.picks import Pick
from bench.records.reader import Kept
from bench.records.saved_audio import SavedFiles, saved
from bench.records.writer import replace
from bench.report import marks

FOLDER = "audio-page"  # beside the page; --save-audio has folders of tokenizers there, too
LOSSLESS = (
    "Originals and reconstructions are carried without loss of what 16 bits hold, mono. A delay that a tokenizer states is taken out."
)


def from_saved(root: Path, runs: Sequence[Kept], audio: Mapping[str, SavedFiles], chosen: Sequence[Pick], data: Data) -> list[Shown]:
    """What was saved of the chosen clips, written below `root`; a run without a clip has no track of it."""
    found = []
    for pick, clip in _with_clips(chosen, data):
        files = {label: there for label, there in audio.items() if clip.id in there.clips}
        if not files:
            continue
        original = read(next(iter(files.values())).original(clip.id))
        delays = {run.label: run.tokenizer.get("delay", 0) for run in runs}
        tracks = {label: undelayed(read(there.reconstruction(clip.id)), delays[label]) for label, there in files.items()}
        found.append(_shown(root, pick, clip, original, tracks))
    return found


def remade(root: Path, runs: Sequence[Kept], chosen: Sequence[Pick], data: Data) -> tuple[list[Shown], list[str]]:
    """The chosen clips through the tokenizers of the runs once more; and of which tokenizers that could not be done, and why."""
    pairs, notes = list(_with_clips(chosen, data)), []
    tracks: dict[str, dict[str, Audio]] = {clip.id: {} for _, clip in pairs}
    for run in runs:
        try:
            for clip, audio in through(run, data, [clip for _, clip in pairs]):
                tracks[clip][run.label] = audio
        except UserError as error:
            notes.append(f"no audio of {run.label}: {error}")
    return [_shown(root, pick, clip, _mono(read_clip(clip)), tracks[clip.id]) for pick, clip in pairs if tracks[clip.id]], notes


def through(run: Kept, data: Data, clips: Sequence[Clip]) -> Iterator[tuple[str, Audio]]:
    """Clips through a run's tokenizer, mono and without the delay that it states. UserError where it is not here as it was in the run."""
    variant, weights = registry.variant(run.label), run.tokenizer["weights"]
    if variant.spec.weights != weights:
        raise UserError(f"its run had other weights ({weights[:16]}...): make the run again")
    partner = partners(data.clips) if variant.spec.shuffled else None
    load = partial(registry.load_tokenizer, variant)
    for item in reconstructions(variant.spec, load, tuple(clips), "cpu", partner, seed=run.identity["seed"]):
        if not item.failure:
            yield item.clip.id, undelayed(_mono(item.est), variant.spec.delay)


def undelayed(audio: Audio, delay: int) -> Audio:
    """Audio without its first samples, as long as before."""
    wav: Tensor = audio.wav[..., delay:]
    return Audio(torch.nn.functional.pad(wav, (0, audio.wav.shape[-1] - wav.shape[-1])), audio.sample_rate)


def written(root: Path, runs: Sequence[Kept], shown: Sequence[Shown], made_by: str, back: str = "", notes: Sequence[str] = ()) -> str:
    """The page of these clips."""
    heard = {label for s in shown for label in s.tracks}
    ordered = sorted(runs, key=lambda run: run.reference)
    names = {run.label: marks.marked(run.label, marks.of_run(run)) for run in ordered if run.label in heard}
    below = [LOSSLESS, *notes, *marks.line(marks.of_run(run) for run in runs if run.label in heard)]
    title = "Listen"
    return page.listening(page.facts(shown, runs, names), title, made_by, below, back, "Report" if back else "")


def _with_clips(chosen: Sequence[Pick], data: Data) -> Iterator[tuple[Pick, Clip]]:
    clips = {clip.id: clip for clip in data.clips}
    return ((pick, clips[pick.clip]) for pick in chosen if pick.clip in clips)


def _shown(root: Path, pick: Pick, clip: Clip, original: Audio, tracks: Mapping[str, Audio]) -> Shown:
    source = original.wav[0], original.sample_rate
    sounds = {label: page.sound(root, FOLDER, audio.wav[0], audio.sample_rate, original=source) for label, audio in tracks.items()}
    seconds = original.wav.shape[-1] / original.sample_rate
    first = page.sound(root, FOLDER, *source)
    return Shown(clip.id, clip.domain, pick.why, clip.text, seconds, original.sample_rate, first, sounds)


def read(path: Path) -> Audio:
    """A saved file in one channel."""
    try:
        return _mono(decode_file(path.read_bytes(), str(path)))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: save the audio again with bench run --save-audio") from error


def _mono(audio: Audio) -> Audio:
    return Audio(to_channels(audio.wav, 1), audio.sample_rate)


def usual(runs: Sequence[Kept], count: int, by: str = "") -> list[Pick]:
    """So many clips of speech, half as many of other domains: the worst ones, the median and the best, by the mean over those of the runs
    that are no reference conditions, where there are any."""
    coded = [run for run in runs if not run.reference] or list(runs)
    return picks.picks(coded, {"speech": count, "music": max(1, count // 2), "general": max(1, count // 2)}, by)


def folder_page(root: Path, runs: Sequence[Kept], data: Data, count: int = 6) -> Path | None:
    """index.html of a folder of saved audio, of those runs whose audio is there; None where no clip has both audio and scores."""
    chosen = usual(runs, count)
    ids, partner = {pick.clip for pick in chosen}, partners(data.clips)
    audio = {r.label: saved(root, r.identity, data.clips, partner if r.tokenizer.get("shuffled") else None, ids) for r in runs}
    shown = from_saved(root, runs, {label: files for label, files in audio.items() if files.clips}, chosen, data)
    if not shown:
        return None
    told = f"{len(shown)} of {len(data.clips)} clips; the WAV files of all are beside this page, see index.jsonl."
    try:
        replace(root / "index.html", written(root, runs, shown, "bench run --save-audio", notes=[told]))
    except OSError as error:
        raise UserError(f"{root / 'index.html'}: {error.strerror}: the audio is saved; correct it and repeat the command") from error
    return root / "index.html"
