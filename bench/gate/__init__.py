"""`bench gate`: runs against a baseline, ending in an exit code."""
