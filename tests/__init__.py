"""The tests, as a package of that name: an installed one called tests (some oracles bring theirs) must not take its place."""
