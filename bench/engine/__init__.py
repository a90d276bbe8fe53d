"""A run: tokenizer x suite -> rows. Stages on threads, scoring in worker processes, resumption, half precision.

Comes in: what every run needs, whatever the suite. Knows no codec and no suite by name; never prints.
"""
