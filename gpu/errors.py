"""The errors of the media path, by how far they reach.

RelensError
├── FrameError      one frame is lost: counted, dropped, a keyframe is asked for (caught in Pipeline)
├── ModelError      an instruction or a model's input is unusable: answered to the one who sent it
└── DeviceError     an engine, codec or device is unusable: start-up ends with the remedy
    ├── NoGpu       what was asked for needs a GPU, and there is none, or it is lost: a new stream is refused
    └── NoMemory    a model or a stream does not fit into what is free: refused before it begins, or, where
                    a device ran out all the same, the end of that stream alone
"""


class RelensError(Exception):
    """Base of everything relens raises on purpose. The message says what was wrong and the remedy."""


class FrameError(RelensError):
    """A frame is corrupt or late; the stream goes on without it."""


class ModelError(RelensError):
    """An instruction, or a model's input or weights, cannot be used."""


class DeviceError(RelensError):
    """A device, engine or codec cannot be used on this machine."""


class NoGpu(DeviceError):
    """There is no GPU for what needs one."""


class NoMemory(DeviceError):
    """What was asked for does not fit into the memory that is free; the message names what would."""
