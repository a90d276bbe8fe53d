"""`bench compare`: runs of one suite, their differences and tests.

Comes in: what needs several runs at once (paired differences, ranks, rate-distortion ladders). Must not run, score or print.
"""
