"""One pass through the network: windows, batches, hooks, and what comes out."""
