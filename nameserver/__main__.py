"""`python -m nameserver`."""

from nameserver.server import main

raise SystemExit(main())
