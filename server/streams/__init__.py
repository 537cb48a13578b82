"""Streams: one publisher (WHIP, RTMP, SRT), edited once, sent to many viewers and targets."""
