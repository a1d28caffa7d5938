"""The blocks that are known part by part, a file a kind; each reads as the block itself computes."""
