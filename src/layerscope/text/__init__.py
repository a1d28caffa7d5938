"""From a text to its tokens: words, what tokens spell, and where each stands."""
