"""Minimal pairs of audio, and how often a small language model of a tokenizer's codes finds the right one likelier.

Comes in: readings with the times of their phones, a lexicon, sounds and rooms; sets of pairs in folders of their own layout; the bits that
a model of bench/lm gives every code. Must not import the engine's run, other suites, or print.
"""
