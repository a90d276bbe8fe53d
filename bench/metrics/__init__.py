"""Every signal metric: METRICS maps a column's name to its facts and its function. One module per family.

Called, a metric takes ref [T] and est [T], float32, one channel of one clip at the metric's own rate, and gives NaN with a note for a clip
that it cannot score. Its `batch` takes `Pairs`: many clips at once, of any lengths, on the device where they lie. What several metrics
need of the same Pairs is worked out once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.api import CORRELATION, DOMAINS, POSITIVE, SHARE, Domain, Metric
from bench.metrics import cepstral, delay, pesq, pitch, spectral, stoi, waveform

NARROW: Mapping[Domain, int] = {"speech": 8_000}
SPEECH: Mapping[Domain, int] = {"speech": 16_000}
WAVEFORM: Mapping[Domain, int] = {"speech": 16_000, "music": 44_100, "general": 44_100}
SPECTRUM: Mapping[Domain, int] = {"speech": 24_000, "music": 44_100, "general": 44_100}  # the DAC paper's 44.1 kHz; speech codecs run at 24
ALL_24K: Mapping[Domain, int] = dict.fromkeys(DOMAINS, 24_000)
NO_SIGNAL: Mapping[Domain, int] = dict.fromkeys(DOMAINS, 0)  # a column of every domain that no function of two signals gives
MOS, DB = (1.0, 5.0), (-100.0, 100.0)
RAW = "with the delay that the codec states left in; only of codecs that state one"

_ALL = (
    Metric("pesq_wb", "MOS-LQO", "higher", SPEECH, 0.02, pesq.pesq_wb, "ITU-T P.862.2 at 16 kHz, 1.04..4.64 (package pesq)", span=MOS),
    Metric("pesq_nb", "MOS-LQO", "higher", NARROW, 0.02, pesq.pesq_nb, "ITU-T P.862.1 at 8 kHz, 1.02..4.55 (package pesq)", span=MOS),
    Metric("stoi", "", "higher", SPEECH, 0.003, stoi.stoi, "short-time objective intelligibility, 0..1 (Taal 2011)", span=CORRELATION),
    Metric("estoi", "", "higher", SPEECH, 0.003, stoi.estoi, "extended STOI, 0..1 (Jensen 2016)", span=CORRELATION),
    Metric("stoi_aligned", "", "higher", SPEECH, 0.003, stoi.stoi_aligned, "STOI after removing delay_ms", span=CORRELATION),
    Metric(
        "mel_dac", "L1", "lower", SPECTRUM, 0.01, spectral.mel_dac, "log10 mel distance summed over 7 scales (DAC paper)", span=POSITIVE
    ),
    Metric(
        "mel_l1", "L1", "lower", ALL_24K, 0.01, spectral.mel_l1, "natural-log mel distance, 80 mels, window 1024, 24 kHz", span=POSITIVE
    ),
    Metric(
        "stft_dac",
        "L1",
        "lower",
        SPECTRUM,
        0.02,
        spectral.stft_dac,
        "magnitude + log magnitude distance, windows 2048 and 512 (DAC)",
        span=POSITIVE,
    ),
    Metric("si_sdr", "dB", "higher", WAVEFORM, 0.1, waveform.si_sdr, "scale-invariant SDR (Le Roux 2019), within +-100", span=DB),
    Metric(
        "si_sdr_aligned",
        "dB",
        "higher",
        WAVEFORM,
        0.1,
        waveform.si_sdr_aligned,
        "SI-SDR at the lag of greatest correlation near delay_ms",
        span=DB,
    ),
    Metric("snr", "dB", "higher", WAVEFORM, 0.1, waveform.snr, "signal-to-noise ratio, level not corrected, within +-100", span=DB),
    Metric("stoi_raw", "", "higher", SPEECH, 0.003, stoi.stoi, f"stoi {RAW}", span=CORRELATION, raw=True),
    Metric("estoi_raw", "", "higher", SPEECH, 0.003, stoi.estoi, f"estoi {RAW}", span=CORRELATION, raw=True),
    Metric("si_sdr_raw", "dB", "higher", WAVEFORM, 0.1, waveform.si_sdr, f"si_sdr {RAW}", span=DB, raw=True),
    Metric("snr_raw", "dB", "higher", WAVEFORM, 0.1, waveform.snr, f"snr {RAW}", span=DB, raw=True),
    Metric("lsd", "dB", "lower", SPECTRUM, 0.05, spectral.lsd, "log-spectral distance, window 2048, hop 512", span=POSITIVE),
    Metric(
        "mfcc_l2",
        "dB",
        "lower",
        SPEECH,
        0.05,
        spectral.mfcc_l2,
        "MFCC distance, c1..c24 of 40 log mels, frame by frame, 16 kHz; the field's MCD is mcd",
        span=POSITIVE,
    ),
    Metric(
        "mcd",
        "dB",
        "lower",
        SPEECH,
        0.05,
        cepstral.mcd,
        "mel-cepstral distortion: c1..c24 of WORLD's envelope, time-warped, 16 kHz (Kubichek 1993)",
        span=POSITIVE,
    ),
    Metric(
        "f0_rmse", "Hz", "lower", SPEECH, 1.0, pitch.f0_rmse, "F0 error where both are voiced (tracker nccf-dp, 60..500 Hz)", span=POSITIVE
    ),
    Metric(
        "f0_corr", "r", "higher", SPEECH, 0.01, pitch.f0_corr, "F0 correlation where both are voiced (tracker nccf-dp)", span=CORRELATION
    ),
    Metric("vuv_f1", "F1", "higher", SPEECH, 0.005, pitch.vuv_f1, "F1 of the voiced/unvoiced decision (tracker nccf-dp)", span=SHARE),
    Metric(
        "delay_ms",
        "ms",
        "zero",
        WAVEFORM,
        1.0,
        delay.delay_ms,
        "delay of the estimate beyond a stated one, from 5 ms log-band envelopes, within +-200",
        span=(-200.0, 200.0),
    ),
    Metric("gain_db", "dB", "zero", WAVEFORM, 0.1, waveform.gain_db, "gain error (estimate vs reference), ratio of standard deviations"),
    Metric(
        "pieces",
        "",
        "",
        NO_SIGNAL,
        0.5,
        None,
        "pieces that a clip is cut into; only of tokenizers that state a longest clip",
        span=(1.0, math.inf),
        fixed=True,
        cut=True,
    ),
    Metric(
        "seam_db",
        "dB",
        "lower",
        NO_SIGNAL,
        0.1,
        None,
        "log-mel distance within 40 ms of the seams between pieces less that elsewhere; only of tokenizers that state a longest clip",
        cut=True,
    ),
    Metric("tail_loss_ms", "ms", "lower", NO_SIGNAL, 0.1, None, "missing tail after decoding", span=POSITIVE),
    Metric("tokens_per_s", "1/s", "lower", NO_SIGNAL, 0.01, None, "codes per second of audio", span=POSITIVE, fixed=True),
    Metric(
        "kbps_nominal",
        "kbit/s",
        "lower",
        NO_SIGNAL,
        0.001,
        None,
        "nominal bitrate: sum over the codebooks of rate x log2(size)",
        "corpus",
        span=POSITIVE,
        fixed=True,
    ),
    Metric(
        "kbps_packed",
        "kbit/s",
        "lower",
        NO_SIGNAL,
        0.001,
        None,
        "measured bitrate: bits of the packed codes, padding included, per second of audio",
        span=POSITIVE,
        fixed=True,
    ),
    Metric(
        "kbps_entropy",
        "kbit/s",
        "lower",
        NO_SIGNAL,
        0.001,
        None,
        "zero-order entropy of each codebook x its rate",
        "corpus",
        span=POSITIVE,
        fixed=True,
    ),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
