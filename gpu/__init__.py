"""The media path on one machine: codecs, edit models, engines. Knows nothing of HTTP, SDP or sessions."""
