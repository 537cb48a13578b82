"""Signalling, sessions and their wire protocol. Knows `gpu.pipeline`, never CUDA."""
