"""What `bench check` tests: the rules that every tokenizer keeps, and the fixture that they look at.

Comes in: a rule that can be tested with any tokenizer, without data of its own. Knows no codec by name; never prints.
"""
