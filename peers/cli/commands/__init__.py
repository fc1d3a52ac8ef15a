"""One module a command: `open_air.py` is `bazaar open-air`.

A module's docstring is the command's help, and its first line stands in the list of commands. Its function `command`
has typer's annotations; where there are many of them they are declared in `peers.cli.options`. Whatever takes time to
import is imported inside the function, so that `bazaar --help`, which looks at every module, stays quick.
"""
