"""`python -m peers.cli`: the program `bazaar`, for where it is not on the PATH."""

from peers.cli.main import main

main()
