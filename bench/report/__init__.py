"""Everything that prints: numbers -> cells, runs and comparisons -> tables, names -> descriptions.

Comes in: writers for the terminal, Markdown, LaTeX, CSV and JSON. Must not run, score or write results.
"""
