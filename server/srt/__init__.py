"""SRT in: a listener for each stream that has one set, by FFmpeg in a child process."""
