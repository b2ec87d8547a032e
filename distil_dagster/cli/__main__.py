"""`python -m distil_dagster.cli`, the same as the command `distil-dagster`."""

import sys

from distil_dagster.cli.main import main

sys.exit(main())
