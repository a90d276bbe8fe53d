"""Speaker similarity, identification and verification by a speaker encoder.

Speech alone. Original and reconstruction reach the judge in one way: mono, resampled once to 16 kHz. Speakers are enrolled with originals
and tested with reconstructions, and the same test with the originals themselves (`_original`) stands beside it: the most that the judge
can know. An original never meets what was made from it but in `spk_sim`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from bench.api import CORRELATION, POSITIVE, SHARE, Clip, Domain, Metric, Row, Score
from bench.data import RESAMPLER
from bench.data.audio import BadAudio, read_clip
from bench.evaluators import speaker as judges
from bench.evaluators.cache import Answers
from bench.evaluators.evaluated_suite import EvaluatedSuite
from bench.evaluators.speaker import SpeakerEncoder, SpeakerJudge
from bench.evaluators.verification import Enrolment, trials, verify
from bench.evaluators.voices import Voice, hear
from bench.metrics import SPEECH

if TYPE_CHECKING:
    from bench.api import Session

VERSION = 1
DOMAIN: Domain = "speech"
RATE = SPEECH[DOMAIN]


def originals(judge: SpeakerJudge, encoder: SpeakerEncoder, device: str, clips: Sequence[Clip]) -> dict[str, Voice]:
    """The voice of every original by the clip's id: asked once, then known on disk, whatever the tokenizer."""
    answers = kept(judge)
    voices: dict[str, Voice] = {}
    for clip in clips:
        answer = answers.get(clip.sha256)
        if isinstance(answer, dict) and answer.keys() == {"vector", "note"}:
            voices[clip.id] = Voice(torch.tensor(answer["vector"]) if answer["vector"] else None, answer["note"])
            continue
        try:
            voice = hear(encoder, read_clip(clip), device, "original")
        except BadAudio as error:
            voice = Voice(None, str(error))
        answers.keep(clip.sha256, {"vector": voice.vector.tolist() if voice.vector is not None else None, "note": voice.note})
        voices[clip.id] = voice
    return voices


def kept(judge: SpeakerJudge) -> Answers:
    """What that judge said of originals before."""
    return Answers(f"{judge.label}, speaker v{VERSION}, {RESAMPLER}")


def run(judge: SpeakerJudge, session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time, then the equal error rates."""
    todo = {clip.id for clip in session.todo}
    for clip in session.todo:
        if clip.domain != DOMAIN:  # it has no columns here, and need not be encoded
            yield session.clip_rows(clip, {}, 0.0)
    clips = [clip for clip in session.data.clips if clip.domain == DOMAIN]
    encoder, device = judges.loaded(judge, session.device), session.device
    known = originals(judge, encoder, device, clips)
    enrolment = Enrolment(clips, [known[clip.id].vector for clip in clips])
    tested: dict[str, Voice] = {}
    # after a stop, all of them again, what lacks rows first: voices are not kept, and the last rows need every one
    for item in session.reconstructions(sorted(clips, key=lambda clip: clip.id not in todo)):
        clip = item.clip
        voice = Voice(None, item.failure) if item.failure else hear(encoder, item.est, device, "reconstruction")
        tested[clip.id] = voice
        if clip.id in todo:
            yield session.clip_rows(clip, scores(judge.name, clip, known[clip.id], voice, enrolment), item.seconds)
    yield pooled(judge.name, clips, known, tested)


def scores(name: str, clip: Clip, original: Voice, voice: Voice, enrolment: Enrolment) -> dict[str, Score]:
    """The scores of one clip."""
    known = Score(math.nan, note=original.note) if original.vector is None else enrolment.identify(clip, original.vector)
    if original.vector is None or voice.vector is None:
        likeness = identified = Score(math.nan, note=original.note or voice.note)
    else:
        likeness, identified = Score(float(original.vector @ voice.vector)), enrolment.identify(clip, voice.vector)
    return {f"spk_sim_{name}": likeness, f"spk_id_acc_{name}": identified, f"spk_id_acc_{name}_original": known}


def pooled(name: str, clips: Sequence[Clip], known: dict[str, Voice], tested: dict[str, Voice]) -> list[Row]:
    """The corpus rows: equal error rates of the reconstructions and of the originals in the same trials, and how many were scored."""
    usable = [clip for clip in clips if known[clip.id].vector is not None]
    listed = trials(usable)
    enrolled = [known[clip.id].vector for clip in usable]
    rate = verify(listed, enrolled, [tested[clip.id].vector for clip in usable])
    facts = {
        f"spk_eer_{name}": rate,
        f"spk_eer_{name}_original": verify(listed, enrolled, enrolled),
        f"spk_trials_{name}": Score(rate.weight),
    }
    return [Row("*", DOMAIN, "", metric, s.value, s.weight, s.note) for metric, s in facts.items()]


def metrics(judge: SpeakerJudge) -> tuple[Metric, ...]:
    """The columns of a judge."""
    name, known = judge.name, "the same test with the originals: the best a codec can expect"
    return (
        Metric(
            f"spk_sim_{name}",
            "cosine",
            "higher",
            SPEECH,
            0.005,
            None,
            f"cosine of the speaker embeddings of original and reconstruction ({judge.about})",
            span=CORRELATION,
        ),
        Metric(
            f"spk_id_acc_{name}",
            "share",
            "higher",
            SPEECH,
            0.01,
            None,
            "closed-set speaker identification, enrolled with the speaker's other originals",
            span=SHARE,
        ),
        Metric(f"spk_id_acc_{name}_original", "share", "", SPEECH, 0.01, None, known, span=SHARE),
        Metric(
            f"spk_eer_{name}",
            "share",
            "lower",
            SPEECH,
            0.005,
            None,
            "equal error rate of speaker verification, enrolled with originals",
            "corpus",
            SHARE,
        ),
        Metric(f"spk_eer_{name}_original", "share", "", SPEECH, 0.005, None, known, "corpus", SHARE),
        Metric(
            f"spk_trials_{name}", "", "", SPEECH, 1.0, None, "number of verification trials, half of them target trials", "corpus", POSITIVE
        ),
    )


def prepare(judge: SpeakerJudge) -> None:
    """UserError where the judge cannot be loaded, or its answers not be kept."""
    judges.loaded(judge, "cpu")
    kept(judge)


ASKED = EvaluatedSuite(
    name="speaker",
    version=VERSION,
    about="speaker similarity, identification and verification",
    metrics=metrics,
    run=run,
    prepare=lambda judge: partial(prepare, judge),
    headline=("spk_sim_{}", "spk_id_acc_{}", "spk_eer_{}"),
    known=tuple(judges.JUDGES),
    choose=judges.judge,
)
suite = ASKED.suite
SUITE = suite(judges.DEFAULT)
