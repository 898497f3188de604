"""`python -m adapters.cli` is `mailverdict`."""

from adapters.cli import main

main()
