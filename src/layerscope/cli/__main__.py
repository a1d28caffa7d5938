"""python -m layerscope.cli."""

from layerscope.cli import main

main()
