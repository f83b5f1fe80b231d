"""`python -m benchmarks`, which is `make bench`."""

import sys

from benchmarks.cli import main

sys.exit(main())
