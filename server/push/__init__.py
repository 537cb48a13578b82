"""Push: an edited stream sent on to platforms by RTMP, RTMPS and SRT. Media leaves by child processes."""
