"""What can be read off the vectors by a linear model: which layer, which token."""
