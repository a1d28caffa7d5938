"""The command `layerscope`: the same verbs as the package. Data goes to stdout, notes to stderr."""

from layerscope.cli.app import main as main
