"""`python -m ibtui`."""

import sys

if not getattr(sys.flags, "safe_path", False):  # -P, from Python 3.11 on
    sys.path.append(sys.path.pop(0))  # the current folder, whose files are not to be taken for libraries

from ibtui.cli import main

sys.exit(main())
