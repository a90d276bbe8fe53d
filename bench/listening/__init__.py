"""Listening: audio of runs as a page plays it, level matched, and blind tests by ITU-R BS.1534 (MUSHRA) with their analysis.

Comes in: what readers and listeners hear, and what is computed from their ratings. Must not score audio or decide what a leaderboard shows.
"""
