"""Runs -> plots, as PNG and SVG: readable in black and white, every line named beside its end.

Comes in: figures for papers (matplotlib, extra: plot). Must not run or score anything.
"""
