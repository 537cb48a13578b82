"""RTMP: OBS and other encoders publish, players watch the edited stream. Knows no edits."""
