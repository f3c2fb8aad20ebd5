"""engines/fused."""
