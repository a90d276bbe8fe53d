"""A small causal language model of a tokenizer's codes: how many bits it needs to write the codes of clips that it has not seen.

Comes in: streams of codes, how they are laid out for a model, the model, its training, and what its code lengths say. Everything is a
proper code: each code of a clip is predicted once, from what came before it. Must not import the engine's run, other suites, or print.
"""
