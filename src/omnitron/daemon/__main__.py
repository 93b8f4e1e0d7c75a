"""`python -m omnitron.daemon`."""

import sys

from omnitron.daemon.boot import main

sys.exit(main())
