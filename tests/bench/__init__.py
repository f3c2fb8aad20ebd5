"""`python -m tests.bench`: the speed of our own screen and processes, for those who develop them."""
