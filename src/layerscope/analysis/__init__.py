"""Questions put to a model, each answered by one call."""
