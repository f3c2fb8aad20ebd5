"""The fused engine: whole epochs in one call of compiled code, on the CPU or on an NVIDIA GPU."""
