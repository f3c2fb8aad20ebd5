"""engines/nvidia."""
