"""`python -m ibtui`."""

import sys

from .cli import main

sys.exit(main())
