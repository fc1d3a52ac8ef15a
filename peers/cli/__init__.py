"""The command line: `bazaar COMMAND`. Each command is a file of its own in `peers.cli.commands`."""
