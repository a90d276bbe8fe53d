"""What columns are called on pages: a short head and a group. A catalog by patterns; a column that none fits keeps its name.

The full name, the unit and the definition are in the head's tooltip, below each table, and in docs/suites.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bench.api import Metric
from bench.leaderboard.aggregate import Board
from bench.report.formats import ARROWS

HEADS = (  # pattern of a column's name, head; the first that fits counts
    ("kbps_packed", "kbit/s"),
    ("kbps_nominal", "nominal kbit/s"),
    ("kbps_entropy", "entropy kbit/s"),
    ("tokens_per_s", "tokens/s"),
    ("encode_tokens_per_s", "tokens/s encoded"),
    ("wer_*_vs_original", "WER to original"),
    ("wer_*_original", "WER of original"),
    ("wer_*_delta", "WER change"),
    ("wer_*", "WER"),
    ("cer_*_original", "CER of original"),
    ("cer_*", "CER"),
    ("oov_*", "OOV words"),
    ("spk_sim_*", "speaker sim."),
    ("spk_id_acc_*_original", "speaker ID of original"),
    ("spk_id_acc_*", "speaker ID"),
    ("spk_eer_*_original", "EER of original"),
    ("spk_eer_*", "EER"),
    ("spk_trials_*", "trials"),
    ("pesq_wb", "PESQ"),
    ("pesq_nb", "PESQ narrow"),
    ("stoi", "STOI"),
    ("estoi", "ESTOI"),
    ("mel_dac", "mel dist."),
    ("mel_l1", "mel L1"),
    ("stft_dac", "STFT dist."),
    ("si_sdr*", "SI-SDR"),
    ("codebook_utilization", "used codes"),
    ("perplexity_norm", "perplexity"),
    ("entropy_norm", "entropy"),
    ("rtfx_encode", "encode speed"),
    ("rtfx_decode", "decode speed"),
    ("lookahead_ms", "look-ahead"),
    ("stream_first_ms", "first audio"),
    ("parameters_m", "parameters"),
    ("peak_cpu_mem_mb", "memory"),
    ("probe_word_acc_random", "word, random"),
    ("probe_word_acc_logmel", "word, log-mel"),
    ("probe_word_acc", "word acc."),
    ("probe_spk_acc_random", "speaker, random"),
    ("probe_spk_acc_logmel", "speaker, log-mel"),
    ("probe_spk_acc", "speaker acc."),
    ("probe_asr_cer_random", "CER, random"),
    ("probe_asr_cer_logmel", "CER, log-mel"),
    ("probe_asr_cer", "probe CER"),
    ("visqol_speech", "ViSQOL"),
    ("visqol_audio", "ViSQOL audio"),
    ("distill_mos_original", "Distill-MOS of original"),
    ("distill_mos", "Distill-MOS"),
    ("dnsmos_ovrl", "DNSMOS"),
    ("plcmos", "PLCMOS"),
    ("note_f1_basic_pitch", "note F1"),
    ("lm_bits_per_s", "model bits"),
    ("lm_bits_2s", "model bits, 2 s"),
    ("lm_bits_per_char", "per character"),
    ("lm_gain_context", "gain of context"),
    ("lm_gain", "gain"),
    ("lm_spread", "spread"),
    ("pairs_word", "pairs: word"),
    ("pairs_syntax", "pairs: agreement"),
    ("pairs_voice", "pairs: voice"),
    ("pairs_gender", "pairs: gender"),
    ("pairs_background_10db", "pairs: background 10 dB"),
    ("pairs_background_0db", "pairs: background 0 dB"),
    ("pairs_room", "pairs: room"),
    ("pairs_tempo", "pairs: tempo"),
    ("pairs_splice", "pairs: splice"),
    ("next_acc_voice", "next: voice"),
    ("next_acc_text", "next: text"),
    ("text_bits_per_s", "told by text"),
    ("recover_share_noise_10db", "told by noisy codes"),
    ("recover_share_overlap_0db", "told by mixed codes"),
    ("phone_bits_per_s", "phone bits"),
    ("abx_within", "ABX within"),
    ("abx_across", "ABX across"),
)
GROUPS = {  # suite -> what its columns are about, in the order of the table over suites; suites not named come before the last two
    "asr": "Words kept",
    "speaker": "Voice kept",
    "quality": "Naturalness",
    "reconstruction": "Signal",
    "mcd": "Cepstra",
    "lm": "Language model",
    "pairs": "Minimal pairs",
    "codes": "Codes",
    "probe": "Probes of tokens",
    "robustness": "Robustness",
    "throughput": "Speed",
}
COST, LAST = "Cost", ("robustness", "throughput")
COSTS = ("tokens_per_s", "kbps_packed")  # what a tokenizer costs, in this order, whichever suite measured it
ALSO = ("lookahead_ms", "stream_first_ms")  # in the table over suites beside what a suite names for it


@dataclass(frozen=True)
class Column:
    """A column of a page: where it is from, and how it is called there."""

    suite: str
    metric: Metric
    about: str
    first: bool = True  # shown before anything is opened

    @property
    def id(self) -> str:
        """Its name in addresses: a cost is one column over all suites."""
        return self.metric.name if self.cost else f"{self.suite}/{self.metric.name}"

    @property
    def cost(self) -> bool:
        """Whether it says what a tokenizer costs by its design."""
        return self.metric.name in COSTS

    @property
    def head(self) -> str:
        """A word or two."""
        return head(self.metric.name)

    @property
    def unit(self) -> str:
        """What stands below the head: nothing where the head says it."""
        unit = {"s/s": "x real time", "M": "million", "MOS-LQO": "", "cosine": "", "L1": ""}.get(
            self.metric.shown_unit, self.metric.shown_unit
        )
        return "" if self.cost or unit == self.head else unit

    @property
    def arrow(self) -> str:
        """Where it gets better."""
        return "" if self.metric.fixed else ARROWS[self.metric.better]

    @property
    def group(self) -> str:
        """What it is about, beside other suites."""
        return COST if self.cost else GROUPS.get(self.suite, self.suite)

    @property
    def definition(self) -> str:
        """Its name, what it is, its unit and its direction, as one line."""
        better = {"higher": "higher is better", "lower": "lower is better", "zero": "nearest to zero is best", "": ""}[self.metric.better]
        return "; ".join(filter(None, (f"{self.metric.name}: {self.about}", self.metric.shown_unit, better)))


def head(name: str) -> str:
    """The head of a column."""
    return next((text for pattern, text in HEADS if fnmatchcase(name, pattern)), name.replace("_", " "))


def place(suite: str) -> tuple[int, int, str]:
    """Sorts suites as the table over suites has their columns."""
    order = list(GROUPS)
    return (suite in LAST, order.index(suite) if suite in order else len(order), suite)


def of_board(board: Board) -> list[Column]:
    """Every column of a suite, its first ones first."""
    first = [board.metrics[name] for name in board.headline]
    rest = [m for m in board.metrics.values() if m not in first]
    return [Column(board.suite, m, board.about.get(m.name, ""), m in first) for m in (*first, *rest)]


def over(boards: Sequence[Board], domain: str = "") -> list[Column]:
    """The columns of the table over suites in a domain, or in any: costs, then what each suite names for it, of those with a value."""
    found: dict[str, Column] = {}
    for board in sorted(boards, key=lambda board: place(board.suite)):
        scored = {place for entry in board.entries for place in entry.summaries if domain in ("", place[0])}
        for name in (*COSTS, *_named(board, scored), *(name for name in ALSO if name in board.headline)):
            if name in board.metrics and any(name == metric for _, metric in scored):
                column = Column(board.suite, board.metrics[name], board.about.get(name, ""))
                found.setdefault(column.id, column)
    return sorted(found.values(), key=lambda c: (not c.cost, COSTS.index(c.metric.name) if c.cost else 0))


def _named(board: Board, scored: set[tuple[str, str]]) -> list[str]:
    """What stands for the suite, and for a domain that has none of that the first column that it has."""
    found = list(board.overview)
    for domain in board.domains:
        there = [name for name in board.headline if (domain, name) in scored and not board.metrics[name].fixed]
        if there and not any(name in there for name in found):
            found.append(there[0])
    return found


def matching(patterns: Iterable[str], columns: Sequence[Column]) -> Column | None:
    """The first column whose name fits the first pattern that any fits."""
    return next((c for pattern in patterns for c in columns if fnmatchcase(c.metric.name, pattern)), None)
