"""How fast a tokenizer is, and what it takes: times of encode and decode over a sweep, memory, arithmetic, streams."""
