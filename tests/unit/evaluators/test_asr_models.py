"""The recognizers themselves: Whisper's real code with a tiny random checkpoint made here, and pocketsphinx with the model it carries."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Clip, Codebook, Data, Spec, UserError, Variant
from bench.data.audio import read_clip, resample, to_channels
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.evaluators import asr, openai_whisper, sphinx
from bench.evaluators.openai_whisper import WhisperRecognizer
from bench.tasks.asr import suite
from bench.tokens import alignment
from bench.weights.download import sha256_of
from tests.conftest import ROOT, speech_like
from tests.one_run import Noisy, noisy

RATE = 16_000
ENGLISH, MULTILINGUAL, WITH_CANTONESE = 51_864, 51_865, 51_866  # sizes of Whisper's vocabularies


def checkpoint(path: Path, vocabulary: int = ENGLISH, mels: int = 80) -> Path:
    """A random Whisper of one layer and 16 channels, in half precision as the published ones: its nonsense depends on the audio."""
    model = pytest.importorskip("whisper.model", reason="openai-whisper is not installed: pip install --no-deps openai-whisper")
    dimensions = model.ModelDimensions(mels, 1500, 16, 2, 1, vocabulary, 448, 16, 2, 1)
    generator = torch.Generator().manual_seed(2)
    state = model.Whisper(dimensions).state_dict()
    for name, value in state.items():
        if name != "encoder.positional_embedding":  # sines
            scale = 3 / value.shape[-1] ** 0.5 if value.ndim > 1 else 3.0
            state[name] = (scale * torch.randn(value.shape, generator=generator)).half()
    torch.save({"dims": asdict(dimensions), "model_state_dict": state}, path)
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file."""
    return checkpoint(tmp_path_factory.mktemp("whisper") / "Tiny test.pt")


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Cache folders of the project's and of Whisper's own, for every test."""
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path


def heard(path: Path) -> WhisperRecognizer:
    return openai_whisper.load(path, "cpu")


def test_whisper_hears_what_its_own_loader_and_decoder_hear(tiny: Path) -> None:
    whisper = pytest.importorskip("whisper")
    theirs, wav = whisper.load_model(str(tiny), device="cpu"), speech_like(2.5, RATE)
    text = whisper.transcribe(theirs, wav.numpy(), temperature=0.0, condition_on_previous_text=False, fp16=False)["text"]
    assert heard(tiny).transcribe(wav, "en") == text.strip() != ""


def test_whisper_never_draws_lots(tiny: Path) -> None:
    recognizer, wav = heard(tiny), speech_like(2.0, RATE, 1)
    texts = set()
    for seed in range(3):  # so unsure a model would try again at random, were it let
        torch.manual_seed(seed)
        texts.add(recognizer.transcribe(wav, "en"))
    assert len(texts) == 1 and texts != {recognizer.transcribe(speech_like(2.0, RATE, 2), "en")}


def test_a_clip_of_more_than_thirty_seconds_is_heard_to_its_end(tiny: Path) -> None:
    recognizer = heard(tiny)
    start, ends = speech_like(30.0, RATE), [torch.zeros(0), speech_like(8.0, RATE, 1), speech_like(8.0, RATE, 2)]
    assert len({recognizer.transcribe(torch.cat([start, end]), "en") for end in ends}) == 3


def test_windows_are_not_told_what_the_one_before_heard(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = pytest.importorskip("whisper.decoding")
    recognizer, prompts = heard(tiny), []
    kept = type(recognizer.model).decode
    monkeypatch.setattr(type(recognizer.model), "decode", lambda self, mel, options: (prompts.append(options), kept(self, mel, options))[1])
    recognizer.transcribe(speech_like(45.0, RATE), "en")
    assert len(prompts) > 1 and all(isinstance(o, decoding.DecodingOptions) and not o.prompt and o.temperature == 0 for o in prompts)
    assert {(o.language, o.task, o.fp16, o.beam_size, o.best_of) for o in prompts} == {("en", "transcribe", False, None, None)}


def test_whisper_takes_any_wave(tiny: Path) -> None:
    recognizer = heard(tiny)
    for wav in (torch.zeros(0), torch.zeros(1), torch.zeros(RATE), 50 * speech_like(1.0, RATE)):
        assert isinstance(recognizer.transcribe(wav, "en"), str)


def test_whisper_knows_the_languages_of_its_vocabulary(tiny: Path, tmp_path: Path) -> None:
    many, most = (heard(checkpoint(tmp_path / f"{size}.pt", size)) for size in (MULTILINGUAL, WITH_CANTONESE))
    for language, expected in {
        "en": (True, True, True),
        "de": (False, True, True),
        "yue": (False, False, True),
        "xx": (False,) * 3,
    }.items():
        assert tuple(recognizer.hears(language) for recognizer in (heard(tiny), many, most)) == expected
    options = []
    many.model.decoder.register_forward_pre_hook(lambda _, given: options.append(given[0]))
    assert many.transcribe(speech_like(1.0, RATE), "de") != ""
    tokenizer = pytest.importorskip("whisper.tokenizer").get_tokenizer(True, num_languages=99, language="de", task="transcribe")
    assert options[0][0, :3].tolist() == list(tokenizer.sot_sequence)


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "Mr. Brown's colour-book, [laughs] costs twenty five dollars; I'm", "mister brown's color book costs $25 i am"),
        ("de", "Über  ein »Haus«!", "über ein haus"),
        ("ja", "今日は。", "今 日 は"),
    ],
)
def test_both_sides_go_through_whispers_normalisers(tiny: Path, language: str, one: str, other: str) -> None:
    recognizer = heard(tiny)
    assert recognizer.normalise(one, language) == recognizer.normalise(other, language) != ""
    assert recognizer.normalise(" !? ", language) == ""


def test_the_published_models_are_those_that_the_package_pins() -> None:
    models = pytest.importorskip("whisper")._MODELS
    urls = {name: f"{openai_whisper.URL}/{sha256}/{name}.pt" for name, sha256 in openai_whisper.SHA256.items()}
    assert models == urls | {alias: urls[name] for alias, name in openai_whisper.ALIASES.items()}


@pytest.mark.parametrize("place", ["xdg/whisper", "cache/whisper"])
def test_weights_are_found_where_whisper_keeps_them_and_in_the_cache(
    tiny: Path, places: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (places / place).mkdir(parents=True)
    (places / place / "base.en.pt").write_bytes(tiny.read_bytes())
    with pytest.raises(UserError, match=r"base.en.pt has sha256 [0-9a-f]{12}..., not the pinned 25a8566e1d0c...: delete it"):
        openai_whisper.locate("base.en")
    monkeypatch.setitem(openai_whisper.SHA256, "base.en", sha256_of(tiny))
    assert openai_whisper.locate("base.en") == places / place / "base.en.pt"


def test_a_file_of_ones_own_has_columns_of_its_own(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = sha256_of(tiny)
    own = asr.judge(str(tiny))
    assert own.name == f"whisper_tiny_test_{sha256[:8]}" and own.label.startswith(
        f"{own.name} sha256:{sha256}, greedy, EnglishTextNormalizer"
    )
    monkeypatch.setitem(openai_whisper.SHA256, "small", sha256)
    known = asr.judge(str(tiny))
    assert known.name == "whisper_small" and known.load((), "cpu").transcribe(speech_like(1.0, RATE), "en")


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


def test_a_file_that_is_no_whisper_is_one_line_and_runs_nothing(tiny: Path, tmp_path: Path) -> None:
    held, path = torch.load(tiny, weights_only=True), tmp_path / "bad.pt"
    more = {**held["model_state_dict"], "more": torch.zeros(1)}
    wide = {**held["dims"], "n_text_state": 32}
    for content, message in (
        ({"dims": held["dims"]}, "bad.pt cannot be read as a Whisper model"),
        ({**held, "dims": {"n_mels": 80}}, "bad.pt cannot be read as a Whisper model"),
        ([1, 2], "bad.pt cannot be read as a Whisper model"),
        ({**held, "model_state_dict": more}, "bad.pt does not fit this configuration"),
        ({**held, "dims": wide}, "bad.pt does not fit this configuration"),
        ({**held, "extra": Evil(tmp_path / "ran")}, "bad.pt cannot be read as a Whisper model"),
    ):
        torch.save(content, path)
        with pytest.raises(UserError, match=message) as caught:
            heard(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"noise")
    with pytest.raises(UserError, match="bad.pt cannot be read as a Whisper model"):
        heard(path)
    with pytest.raises(UserError, match="bad.pt cannot be read as a Whisper model"):
        list(run([registry.variant("identity")], suite(asr.judge(str(path))), open_data("mini", 3), Options(tmp_path / "r")))
    assert not (tmp_path / "ran").exists() and not (tmp_path / "r").exists()


def test_a_missing_package_is_one_line_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whisper", "whisper.model", "whisper.normalizers", "pocketsphinx"):
        monkeypatch.setitem(sys.modules, name, None)
    assert asr.DEFAULT.prepare is not None
    with pytest.raises(
        UserError, match=r"openai-whisper .*pip install 'audio-tokenizer-bench\[asr\]', or ask .* --asr-model pocketsphinx$"
    ):
        asr.DEFAULT.prepare()
    with pytest.raises(UserError, match=r"pocketsphinx is not installed .*pip install 'audio-tokenizer-bench\[pocketsphinx\]'$"):
        asr.judge("pocketsphinx")


def test_the_words_of_a_text_are_those_of_the_dictionary() -> None:
    assert sphinx.spoken("He'd said: ‘the King’s ACTORS' eighty-four’ — O.K.?") == "he'd said the king's actors eighty four o k".split()
    assert sphinx.spoken(" ... _ ' ") == []


@pytest.mark.parametrize(
    "written",
    [
        "caf\u00e9 na\u00efve don't fi",
        "cafe\u0301 nai\u0308ve don\u2019t \ufb01",
        "ca\u00adf\u00e9 na\u200b\u00efve don\u02bct\u00a0f\u200di\ufeff",
    ],
)
def test_a_transcript_has_the_same_words_in_every_unicode_form(tiny: Path, written: str) -> None:
    assert sphinx.spoken(written) == ["cafe", "naive", "don't", "fi"]  # as the dictionary has them
    assert alignment.words(written) == "caf\u00e9 na\u00efve dont fi"
    for language in ("en", "fr"):
        assert heard(tiny).normalise(written, language) == heard(tiny).normalise("caf\u00e9 na\u00efve don't fi", language)


def clips(*texts: str) -> tuple[Clip, ...]:
    return tuple(Clip(f"clip{i}", Path(f"{i}.wav"), "", text=text) for i, text in enumerate(texts))


@pytest.fixture
def installed() -> None:
    """The test is skipped where pocketsphinx is not installed."""
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed: pip install pocketsphinx")


@pytest.mark.usefixtures("installed")
def test_the_language_model_is_closed_over_the_transcripts() -> None:
    german = replace(clips("haus")[0], language="de")
    music = replace(clips("piano")[0], domain="music")
    found = sphinx.load((*clips("The cat, the dog.", "the qwxyz cat", ""), german, music), "cuda")
    lines = found.grammar.split("\\1-grams:\n")[1].split("\n\n")[0].splitlines()
    chances = {word: 10 ** float(value) for value, word in (line.split() for line in lines) if word != "<s>"}
    assert chances == pytest.approx({"the": 3 / 9, "cat": 2 / 9, "dog": 1 / 9, "</s>": 3 / 9}, abs=1e-4)
    assert found.dictionary.splitlines()[:2] == ["cat K AE T", "dog D AO G"] and "the(3) DH AH" not in found.dictionary.splitlines()[:1]
    assert [line.split()[0] for line in found.dictionary.splitlines()] == ["cat", "dog", "the", "the(2)"]
    assert found.unknown == {"qwxyz": 1}
    assert sphinx.load(clips("the cat"), "cpu").key != sphinx.load(clips("the dog"), "cpu").key
    assert sphinx.load(clips("the cat"), "cpu").key == sphinx.load(clips("The cat!"), "cpu").key


@pytest.mark.usefixtures("installed")
def test_without_a_word_that_it_knows_pocketsphinx_hears_no_language() -> None:
    assert not sphinx.load(clips("qwxyz"), "cpu").hears("en") and not sphinx.load(clips("", ""), "cpu").hears("en")
    some = sphinx.load(clips("the cat"), "cpu")
    assert some.hears("en") and not some.hears("de")


def spoken() -> tuple[Clip, ...]:
    """Clips of the embedded corpus, of two voices that speak clearly; no text comes twice."""
    names = ("awb_pants", "rms_hogs", "awb_well", "rms_rice")
    return tuple(clip for clip in open_data("mini").clips if clip.id.removeprefix("speech_") in names)


def wave(clip: Clip) -> Tensor:
    audio = read_clip(clip)
    return resample(to_channels(audio.wav, 1), audio.sample_rate, RATE)[0]


@pytest.mark.usefixtures("installed")
def test_what_pocketsphinx_hears_does_not_depend_on_what_it_heard_before() -> None:
    chosen = spoken()[:2]
    recognizer = sphinx.load(chosen, "cpu")
    unsure = [noisy(wave(clip), 10) for clip in chosen]  # where it is least sure
    first = [recognizer.transcribe(wav, "en") for wav in unsure]
    second = [recognizer.transcribe(wav, "en") for wav in reversed(unsure)]
    assert second[::-1] == first and all(first)


@pytest.mark.usefixtures("installed")
def test_pocketsphinx_takes_any_wave() -> None:
    recognizer = sphinx.load(spoken(), "cpu")
    for samples in (0, 1, 409, 410, 411, 800, RATE):
        assert recognizer.transcribe(torch.zeros(samples), "en") == ""


def coded(decibels: float) -> Variant:
    """16-bit samples; decode adds white noise of a stated level below the signal's."""
    return Variant(Spec("noisy", f"{decibels:g}db", RATE, (Codebook(1 << 16, RATE),)), lambda spec: Noisy(spec, decibels))


def runs(data: Data, results: Path, *variants: str | Variant) -> list[Run]:
    chosen = [registry.variant(v) if isinstance(v, str) else v for v in variants]
    return list(run(chosen, suite(asr.judge("pocketsphinx")), data, Options(results)))


def mean(done: Run, column: str) -> float:
    return next(s.mean for s in done.summaries if s.metric == column.format("pocketsphinx_closed"))


@pytest.mark.usefixtures("installed")
def test_words_of_the_embedded_corpus_are_lost_step_by_step(tmp_path: Path) -> None:
    data = Data("spoken", spoken(), "spoken")
    same, eight_bit, noisy, other = runs(data, tmp_path, "identity", "mulaw", coded(10), "shuffled")
    assert (
        mean(same, "wer_{}_delta") == mean(same, "wer_{}_vs_original") == 0 and mean(same, "wer_{}") == mean(same, "wer_{}_original") < 0.15
    )
    rates = [mean(done, "wer_{}") for done in (same, eight_bit, noisy, other)]
    assert rates[0] <= rates[1] < rates[2] - 0.1 < rates[3] - 0.2 and rates[3] > 0.8
    assert {mean(done, "oov_{}") for done in (same, eight_bit, noisy, other)} == {0}


@pytest.mark.usefixtures("installed")
def test_real_speech_is_heard(real_data: Path, tmp_path: Path) -> None:
    whole = open_data(str(real_data / "eval" / "manifest.jsonl"))
    chosen = tuple(clip for clip in whole.clips if clip.id in ("arctic_bdl_a0009", "arctic_bdl_a0051", "arctic_slt_a0024"))
    same, other = runs(Data("real", chosen, "real"), tmp_path, "identity", "shuffled")
    assert mean(same, "wer_{}_delta") == mean(same, "wer_{}_vs_original") == 0 and mean(same, "wer_{}") < 0.3
    assert mean(other, "wer_{}") > 0.8


def bench(*words: object, places: Path) -> subprocess.CompletedProcess[str]:
    nowhere = "http://127.0.0.1:9"  # no network, whatever this machine has
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "https_proxy": nowhere, "HTTPS_PROXY": nowhere}
    command = [sys.executable, "-m", "bench", "run", "--results", places / "r", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, env=environment)


def test_the_command_line_runs_a_whisper_of_ones_own(tiny: Path, places: Path, make_data: Callable[..., Path]) -> None:
    done = bench("--suite", "asr", "--asr-model", tiny, "--tokenizer", "mulaw", "--data", make_data(2), places=places)
    assert done.returncode == 0, done.stderr
    name = f"whisper_tiny_test_{sha256_of(tiny)[:8]}"
    assert f"wer_{name} (%) ↓" in done.stdout and f"wer_{name}_original" in done.stdout
    facts = json.loads(next((places / "r").rglob("run.json")).read_text())
    assert facts["identity"]["judge"].startswith(f"{name} sha256:{sha256_of(tiny)}") and facts["packages"]["openai-whisper"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--asr-model", "base.em"), "no recognizer is called 'base.em': did you mean 'base.en'? Known: tiny.en, "),
        ((), "put it at {}/cache/whisper/base.en.pt; or give a file with --asr-model PATH; --asr-model pocketsphinx needs no download"),
    ],
)
def test_what_is_missing_is_one_line_and_leaves_no_trace(places: Path, words: tuple[str, ...], message: str) -> None:
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    done = bench("--suite", "asr", "--tokenizer", "identity", *words, places=places)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and message.format(places) in done.stderr
    assert not (places / "r").exists()
