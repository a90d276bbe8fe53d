"""Tokenizers in files of the user's own: loaded as a script would be, called at arm's length, known by everything that they load.

Comes in: what stands between the harness and code that is anybody's. Knows no codec by name; never prints; imports nothing of bench but
the data types and the reader of weights' sha256.
"""
