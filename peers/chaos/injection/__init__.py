"""How planned faults are carried out on a town: whom they hit, and how each is begun and undone."""
