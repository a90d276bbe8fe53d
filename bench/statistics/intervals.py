"""The 95 % interval of a mean of scores: never outside of their bounds, and never of no width where a share is perfect.

Scores within two bounds: the mean's place between them is a share p with standard error e, as if of n = p (1 - p) / e^2 trials; its
interval is that of Clopper and Pearson (1934) for n, as Korn and Graubard (1998, Survey Methodology 24) do for samples of clusters.
Scores with one bound: the mean's distance d from it is as if of x = (d / e)^2 events; its interval is that of Fay and Feuer (1997,
Statistics in Medicine 16) for a weighted rate. Both n and x are made smaller, (z / t)^2, as e comes from few speakers.

Scores without bounds: Student's interval, corrected for the skewness of the speakers by the cubic of Hall (1992, JRSS B 54). Two thirds of
the sample's skewness are taken: all of it corrects skewed scores best, and none heavy tails, from which few speakers look skewed.
"""

from __future__ import annotations

import math

import numpy as np

from bench.api import SHARE

BEYOND = 0.025  # on either side
Z = 1.959963984540054  # beyond which that much of a normal distribution is found
SKEWED = 2 / 3
MANY = 1e8  # trials or events: from here on both intervals are Student's


def within(span: tuple[float, float], mean: float, deviations: np.ndarray, t: float) -> tuple[float, float]:
    """Low and high of a mean. `deviations` [speakers]: what each adds to its error; `t`: Student's quantile for so many."""
    speakers = len(deviations)
    error = math.sqrt(speakers / (speakers - 1) * float(np.sum(deviations**2)))
    if not any(map(math.isfinite, span)):
        return _unbounded(mean, error, deviations, t)
    return _bounded(span, min(max(mean, span[0]), span[1]), error, speakers, t)  # float32 arithmetic gives a STOI of 1.0000001


def _unbounded(mean: float, error: float, deviations: np.ndarray, t: float) -> tuple[float, float]:
    if error == 0:
        return mean, mean
    skewness = float(np.mean(deviations**3) / np.mean(deviations**2) ** 1.5)
    a = SKEWED * skewness / math.sqrt(len(deviations))

    def back(y: float) -> float:  # the ratio T of error and standard error with ((1 + a T / 3)^3 - 1) / a + a / 6 = y
        return 3 / a * (float(np.cbrt(1 + a * (y - a / 6))) - 1) if abs(a) > 1e-6 else y

    return mean - error * back(t), mean - error * back(-t)


def _bounded(span: tuple[float, float], mean: float, error: float, speakers: int, t: float) -> tuple[float, float]:
    low, high = span
    if not math.isfinite(low):  # a bound above alone: the mirror image
        above, below = _bounded((-high, -low), -mean, error, speakers, t)
        return -below, -above
    width = high - low if math.isfinite(high) else 1.0
    place, e = (mean - low) / width, error / width
    if span == SHARE and (mean <= low or mean >= high):
        below, above = _perfect(mean >= high, speakers)
    elif e == 0 or place <= 0 or math.isfinite(high) and place >= 1:
        below, above = place, place  # nothing varies, and where it would is not known
    elif math.isfinite(high):
        below, above = _share(place, place * (1 - place) / e**2 * (Z / t) ** 2, e * t)
    else:
        below, above = _rate(place, (place / e) ** 2 * (Z / t) ** 2, e * t)
    return min(max(low, low + width * below), mean), max(min(high, low + width * above), mean)


def _perfect(all_of_it: bool, speakers: int) -> tuple[float, float]:
    """Of a share that is 0 or 1 in every clip: a speaker is one trial, as clips of one may be alike."""
    least = BEYOND ** (1 / speakers)
    return (least, 1.0) if all_of_it else (0.0, 1 - least)


def _share(p: float, trials: float, student: float) -> tuple[float, float]:
    if trials > MANY:
        return p - student, p + student
    from scipy.special import betaincinv  # here: the command line answers without waiting for scipy

    hits = p * trials
    return float(betaincinv(hits, trials - hits + 1, BEYOND)), float(betaincinv(hits + 1, trials - hits, 1 - BEYOND))


def _rate(d: float, events: float, student: float) -> tuple[float, float]:
    if events > MANY:
        return d - student, d + student
    from scipy.special import gammaincinv

    return d * float(gammaincinv(events, BEYOND)) / events, d * float(gammaincinv(events + 1, 1 - BEYOND)) / events
