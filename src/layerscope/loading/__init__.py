"""From a Hub id, a folder, a GGUF file or the bundled package to a `Model`; what is refused, and why."""
