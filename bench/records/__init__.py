"""What happened, on disk: rows.csv and run.json written and read, and where they come from (commit, packages, hardware, energy).

Comes in: whatever reads or writes a run's folder. Must not import what runs (engine) or what prints (report).
"""
