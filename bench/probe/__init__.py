"""Probes: small networks that learn from tokens who speaks, which word it is, the characters of the text, the spectrogram, or any label of
the data. No pretrained evaluator.

One network and one budget for every tokenizer; the same for its controls: random tokens, shuffled labels, and log-mel in place of tokens.
Training is on the CPU, on one thread, and gives the same numbers whenever the seed is the same (on one machine and version of torch).
"""
