"""`python -m ibtui.run`: how a screen starts its worker."""

import sys

from ibtui.run.worker import main

sys.exit(main())
