"""Values -> intervals, paired tests, BD-rate. What scipy does is called there, not written here.

Comes in: mathematics of rows and numbers. Must not import anything that runs, reads files or prints.
"""
