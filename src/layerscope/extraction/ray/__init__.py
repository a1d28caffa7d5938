"""The parts of a corpus made by the actors of a Ray cluster."""
