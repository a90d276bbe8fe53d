"""`bench compare`: runs of one suite beside each other, with what can be said of their differences.

Comes in: what needs several runs at once (paired differences, ranks, rate-distortion ladders). Must not run, score or print.
"""
