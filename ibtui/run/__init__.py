"""The worker: training, or a recording that is played, in a process of its own behind a Unix socket."""
