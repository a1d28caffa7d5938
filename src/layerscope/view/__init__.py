"""Showing what was computed, in the terminal. Nothing is computed here."""
