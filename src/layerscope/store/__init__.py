"""A folder of features: its manifest, its parts, and what can be asked of them; it loads no torch."""
