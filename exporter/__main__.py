"""`python -m exporter` is `bandwidth-exporter`."""

import sys

from exporter.cli import main

sys.exit(main())
