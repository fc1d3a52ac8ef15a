"""`python -m peers.cli`: the same as `bazaar`."""

from peers.cli.main import main

main()
