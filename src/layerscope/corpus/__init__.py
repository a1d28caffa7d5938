"""A corpus: what it is read from, and what is written about it."""
