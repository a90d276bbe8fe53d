"""Texts as error rates compare them: both sides through one normaliser, errors counted by jiwer.

The rate of a corpus is the sum of errors over the sum of lengths: the mean of the clips' rates, weighted by their lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class Errors:
    """Substitutions, deletions and insertions, and the words of the reference; or its characters, a space between words being one."""

    count: int
    length: int


def words(reference: str, heard: str) -> Errors:
    """Errors by word of two normalised texts."""
    found = jiwer.process_words(reference, heard)
    return Errors(found.substitutions + found.deletions + found.insertions, found.hits + found.substitutions + found.deletions)


def characters(reference: str, heard: str) -> Errors:
    """Errors by character of two normalised texts."""
    found = jiwer.process_characters(reference, heard)
    return Errors(found.substitutions + found.deletions + found.insertions, found.hits + found.substitutions + found.deletions)
