"""The command `layerscope`: the same verbs as the package. Data goes to stdout, notes to stderr."""

import sys


def main() -> None:
    """Run the command; an interrupt while its parts are still being loaded is an interrupt like any other."""
    try:
        from layerscope.cli import app

        app.main()
    except KeyboardInterrupt:
        sys.stderr.write("layerscope: stopped.\n")
        sys.exit(130)
