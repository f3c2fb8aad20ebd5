"""The statements with which a screen starts its worker: it reads its job and wakes the card first."""

import sys

from ibtui.engines.nvidia import driver
from ibtui.importing import importing
from ibtui.run.job import Job

job = Job.from_json(sys.stdin.buffer.readline().decode())
if job.config is not None:
    driver.warm(job.config.ctx, job.config.engine)

with importing():  # half a second, in which the card's context is made
    from ibtui.run.worker import main

sys.exit(main(job))
