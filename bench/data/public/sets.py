"""The public data sets that have a name, with what proves their archives.

Digests: openslr.org's md5sum.txt, torchaudio.datasets, tensorflow_datasets' url_checksums, Zenodo's records, mirdata and soundata. Counts
of clips and speakers: the papers and pages of the sets. What comes from the hub is proven by its commit alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.data.public import layouts
from bench.data.public.records import File, Part, PublicSet

OPENSLR = ("https://www.openslr.org/resources/", "https://us.openslr.org/resources/", "https://openslr.elda.org/resources/")
ZENODO = "https://zenodo.org/records/"


def _file(size: int, digest: str, *urls: str) -> File:
    return File(urls, size, digest)


def _openslr(path: str, size: int, digest: str) -> File:
    return File(tuple(mirror + path for mirror in OPENSLR), size, digest)


def _zenodo(path: str, size: int, md5: str) -> File:
    return File((ZENODO + path,), size, f"md5:{md5}")


def _libri(number: int, name: str, clips: int, speakers: int, size: int, sha256: str) -> Part:
    return Part(name, clips, speakers, (_openslr(f"{number}/{name}.tar.gz", size, f"sha256:{sha256}"),))


LIBRISPEECH = PublicSet(
    name="librispeech",
    about="read English, audio books",
    licence="CC-BY-4.0",
    page="https://www.openslr.org/12",
    domain="speech",
    sample_rate=16_000,
    parts=(
        _libri(12, "test-clean", 2620, 40, 346_663_984, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
        _libri(12, "test-other", 2939, 33, 328_757_843, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
        _libri(12, "dev-clean", 2703, 40, 337_926_286, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
        _libri(12, "dev-other", 2864, 33, 314_305_928, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
    ),
    home="LibriSpeech/{part}",
    sign="*/*/*.trans.txt",
    read=layouts.librispeech,
)
LIBRITTS = PublicSet(
    name="libritts",
    about="read English, audio books at 24 kHz, sentence by sentence",
    licence="CC-BY-4.0",
    page="https://www.openslr.org/60",
    domain="speech",
    sample_rate=24_000,
    parts=(
        _libri(60, "test-clean", 4837, 39, 1_230_670_113, "234ea5b25859102a87024a4b9b86641f5b5aaaf1197335c95090cde04fe9a4f5"),
        _libri(60, "test-other", 5120, 33, 964_502_297, "33a5342094f3bba7ccc2e0500b9e72d558f72eb99328ac8debe1d9080402f10d"),
        _libri(60, "dev-clean", 5736, 40, 1_291_469_655, "da0864e1bd26debed35da8a869dd5c04dfc27682921936de7cff9c8a254dbe1a"),
        _libri(60, "dev-other", 4613, 33, 924_804_676, "d413eda26f3a152ac7c9cf3658ef85504dfb1b625296e5fa83727f5186cca79c"),
    ),
    home="LibriTTS/{part}",
    sign="*/*/*.normalized.txt",
    read=layouts.libritts,
)
_VCTK = _file(
    11_747_302_977,
    "sha256:f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
    "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
)
VCTK = PublicSet(
    name="vctk",
    about="read English in many accents, release 0.92, first microphone",
    licence="CC-BY-4.0",
    page="https://datashare.ed.ac.uk/handle/10283/3443",
    domain="speech",
    sample_rate=48_000,
    parts=(Part("", None, 110, (_VCTK,)),),
    home="VCTK-Corpus-0.92",
    sign="wav48_silence_trimmed/*/*_mic1.flac",
    read=layouts.vctk,
    into="VCTK-Corpus-0.92",
)
_LJ = _file(
    2_748_572_632,
    "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
    "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
)
LJSPEECH = PublicSet(
    name="ljspeech",
    about="read English, one speaker",
    licence="public domain",
    page="https://keithito.com/LJ-Speech-Dataset",
    domain="speech",
    sample_rate=22_050,
    parts=(Part("", 13_100, 1, (_LJ,)),),
    home="LJSpeech-1.1",
    sign="metadata.csv",
    read=layouts.ljspeech,
)
_COMMANDS = _file(
    2_428_923_189,
    "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
)
SPEECH_COMMANDS = PublicSet(
    name="speechcommands",
    about="single English words of many speakers, version 0.02",
    licence="CC-BY-4.0",
    page="https://arxiv.org/abs/1804.03209",
    domain="speech",
    sample_rate=16_000,
    parts=(Part("test", 11_005, None, (_COMMANDS,)), Part("validation", 9_981, None, (_COMMANDS,))),
    home="speech_commands_v0.02",
    sign="testing_list.txt",
    read=layouts.speech_commands,
    into="speech_commands_v0.02",
    label="keyword",
)
_AISHELL = _openslr("33/data_aishell.tgz", 15_582_913_665, "md5:2f494334227864a8a8fec932999db9d8")
AISHELL = PublicSet(
    name="aishell",
    about="read Mandarin, AISHELL-1",
    licence="Apache-2.0",
    page="https://www.openslr.org/33",
    domain="speech",
    sample_rate=16_000,
    parts=(Part("test", 7_176, 20, (_AISHELL,)), Part("dev", 14_326, 40, (_AISHELL,))),
    home="data_aishell",
    sign="wav/{part}/*/*.wav",
    read=layouts.aishell,
    languages={"test": "zh", "dev": "zh"},
)
_MLS: Mapping[str, tuple[int, int]] = {  # clips and speakers of the test parts
    "german": (3394, 30),
    "dutch": (3075, 6),
    "french": (2426, 18),
    "spanish": (2385, 20),
    "italian": (1262, 10),
    "portuguese": (871, 10),
    "polish": (520, 4),
}
MLS = PublicSet(
    name="mls",
    about="audio books in European languages, Multilingual LibriSpeech, the test parts",
    licence="CC-BY-4.0",
    page="https://www.openslr.org/94",
    domain="speech",
    sample_rate=16_000,
    parts=(
        *(Part(name, *counts, hub=f"facebook/multilingual_librispeech/{name}:test") for name, counts in _MLS.items()),
        Part("english", 3769, 42, hub="parler-tts/mls_eng:test"),
    ),
    home="mls_{part}*",
    sign="test/transcripts.txt",
    read=layouts.mls,
    languages=layouts.MLS,
)
_MUSDB = _zenodo("1117372/files/musdb18.zip", 4_684_228_845, "af06762477334799bfc5abf237648207")
MUSDB18 = PublicSet(
    name="musdb18",
    about="whole songs, the mixes",
    licence="CC-BY-NC-SA-3.0 and others, by song",
    page="https://sigsep.github.io/datasets/musdb.html",
    domain="music",
    sample_rate=44_100,
    parts=(Part("test", 50, None, (_MUSDB,)), Part("train", 100, None, (_MUSDB,))),
    home="musdb18*",
    sign="{part}/*",
    read=layouts.musdb18,
    into="musdb18",
)
_GENRES = _file(
    1_200_000_000,  # about
    "md5:5b3d6dddb579ab49814ab86dba69e7c7",
    "https://huggingface.co/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz",
    "http://opihi.cs.uvic.ca/sound/genres.tar.gz",
)
GTZAN = PublicSet(
    name="gtzan",
    about="30 s of songs of ten genres",
    licence="not stated by its authors",
    page="https://huggingface.co/datasets/marsyas/gtzan",
    domain="music",
    sample_rate=22_050,
    parts=(Part("", 1_000, None, (_GENRES,)),),
    home="genres",
    sign="blues/blues.*",
    read=layouts.gtzan,
    label="genre",
)
_ESC = _file(
    600_000_000,  # about
    "md5:7771e4b9d86d0945acce719c7a59305a",
    "https://github.com/karoldvl/ESC-50/archive/master.zip",
    "https://paddleaudio.bj.bcebos.com/datasets/ESC-50-master.zip",
)
ESC50 = PublicSet(
    name="esc50",
    about="environmental sounds, 5 s each, of 50 classes",
    licence="CC-BY-NC-3.0",
    page="https://github.com/karolpiczak/ESC-50",
    domain="general",
    sample_rate=44_100,
    parts=(Part("", 2_000, None, (_ESC,)),),
    home="ESC-50*",
    sign="meta/esc50.csv",
    read=layouts.esc50,
    label="event",
)
_FSD, _VOLUME = "4060432/files/FSD50K.", 3_221_225_472  # bytes
_TRUTH = _zenodo(f"{_FSD}ground_truth.zip", 334_701, "ca27382c195e37d2269c4c866dd73485")
_EVAL = (
    _zenodo(f"{_FSD}eval_audio.z01", _VOLUME, "3090670eaeecc013ca1ff84fe4442aeb"),
    _zenodo(f"{_FSD}eval_audio.zip", 3_037_675_767, "6fa47636c3a3ad5c7dfeba99f2637982"),
)
_DEV = (
    _zenodo(f"{_FSD}dev_audio.z01", _VOLUME, "faa7cf4cc076fc34a44a479a5ed862a3"),
    _zenodo(f"{_FSD}dev_audio.z02", _VOLUME, "8f9b66153e68571164fb1315d00bc7bc"),
    _zenodo(f"{_FSD}dev_audio.z03", _VOLUME, "1196ef47d267a993d30fa98af54b7159"),
    _zenodo(f"{_FSD}dev_audio.z04", _VOLUME, "d088ac4e11ba53daf9f7574c11cccac9"),
    _zenodo(f"{_FSD}dev_audio.z05", _VOLUME, "81356521aa159accd3c35de22da28c7f"),
    _zenodo(f"{_FSD}dev_audio.zip", 2_306_663_327, "c480d119b8f7a7e32fdb58f3ea4d6c5a"),
)
FSD50K = PublicSet(
    name="fsd50k",
    about="sound events of 200 classes, from Freesound",
    licence="CC-BY-4.0, CC-BY-NC-3.0 and others, by clip",
    page="https://zenodo.org/records/4060432",
    domain="general",
    sample_rate=44_100,
    parts=(Part("eval", 10_231, None, (_TRUTH, *_EVAL)), Part("dev", 40_966, None, (_TRUTH, *_DEV))),
    home="FSD50K*",
    sign="FSD50K.{part}_audio/*.wav",
    read=layouts.fsd50k,
    into="FSD50K",
    label="event",
)
CODEC_SUPERB = PublicSet(
    name="codec-superb-tiny",
    about="speech, music and sounds, the clips of Codec-SUPERB's boards",
    licence="not stated by its authors",
    page="https://huggingface.co/datasets/voidful/codec-superb-tiny",
    domain="speech",
    sample_rate=None,
    parts=(Part("", 6_000, None, hub="voidful/codec-superb-tiny:*"),),
    home="codec-superb-tiny",
    sign="no layout of files",
    read=layouts.of_hub,
)
SETS = (LIBRISPEECH, LIBRITTS, VCTK, LJSPEECH, SPEECH_COMMANDS, AISHELL, MLS, MUSDB18, GTZAN, ESC50, FSD50K, CODEC_SUPERB)
