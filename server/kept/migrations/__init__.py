"""The steps that made the tables what they are. `HEAD` is the last one; a new one goes into `versions`."""

HEAD = "0003"
