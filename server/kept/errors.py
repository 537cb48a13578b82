"""What can go wrong with what is kept. Caught in the HTTP layer, the job runner and the commands.

KeptError
├── NotKept               there is no such video, upload, job, session or blob
├── Refused               a change that what is kept does not allow: another state or offset, a key in use
├── Full                  the quota or the disk is full
│   └── StorageFull       the disk
└── Unavailable           for now: try again
    ├── DatabaseUnavailable
    └── StorageUnavailable
"""

from gpu.errors import RelensError

LOOK = "its log and `relens doctor` say more"


class KeptError(RelensError):
    """Base of everything that reading and writing what is kept raises."""

    def __init__(self, message: str, told: str = "") -> None:
        """`told`: what strangers may hear of it, where the message has addresses or folders."""
        super().__init__(message)
        self.told = told or message


class NotKept(KeptError):
    """There is none of this name, or not any more."""


class Refused(KeptError):
    """The change does not fit what is kept; nothing was changed."""


class Full(KeptError):
    """There is no room for it within `quota_bytes`."""


class StorageFull(Full):
    """The disk, or the bucket's own limit, is full."""


class Unavailable(KeptError):
    """It cannot be reached, or did not answer in time; the same call may succeed later."""

    def __init__(self, message: str, told: str = "", retry_after_s: int = 5) -> None:
        super().__init__(message, told)
        self.retry_after_s = retry_after_s


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached or used."""


class StorageUnavailable(Unavailable):
    """The storage of blobs cannot be reached or used."""
