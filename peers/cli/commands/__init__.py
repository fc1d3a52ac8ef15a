"""One module a command: `open_air.py` is `bazaar open-air`.

A module has a function `command` with typer's annotations; its docstring is the command's help, and its first line
stands in the list of commands. Whatever takes time to import is imported inside the function, so that
`bazaar --help`, which looks at every module, stays quick.
"""
