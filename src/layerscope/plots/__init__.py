"""Figures by matplotlib and seaborn, from tables and arrays; each returns its Axes, and nothing is computed here."""
