"""What `bench check` tests: the rules that every tokenizer must meet, and the fixture that they examine.

Comes in: a rule that can be tested with any tokenizer, without data of its own. Knows no codec by name; never prints.
"""
