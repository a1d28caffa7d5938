"""From a corpus to a folder of features: read, pass, pooled, written part by part, never lost."""
