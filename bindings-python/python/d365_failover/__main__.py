"""`python -m d365_failover`: the command line."""

import sys

from ._cli import main

sys.exit(main())
