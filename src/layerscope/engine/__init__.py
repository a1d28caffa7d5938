"""From many texts to their vectors in memory."""
