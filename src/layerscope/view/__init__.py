"""Showing what was computed: in the terminal and in figures. Nothing is computed here."""
