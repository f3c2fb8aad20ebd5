"""The statements with which a screen starts its worker."""

import sys

from ibtui.run.worker import main

sys.exit(main())
