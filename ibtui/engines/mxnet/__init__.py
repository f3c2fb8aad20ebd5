"""engines/mxnet."""
