"""The NVIDIA GPU, by its driver's own three libraries. Knows nothing of sessions, prompts or RTP.

Nothing is opened at import: everything here imports on a machine without a GPU.
"""
