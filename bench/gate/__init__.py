"""`bench gate`: compare runs with a baseline, ending in an exit code.

Comes in: what decides whether a codec became worse, and says so. Must not run or score anything.
"""
