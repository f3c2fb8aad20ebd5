"""`python -m ibtui.worker`: how a screen starts its worker."""

import sys

from .process import main

sys.exit(main())
