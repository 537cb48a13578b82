"""The media path on one machine: codecs, kernels, edit models, engines. Knows nothing of HTTP, SDP or sessions."""
