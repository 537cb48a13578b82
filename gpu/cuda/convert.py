"""One stream's conversions: frames onto the model's canvas, and what the model changed back over the frames.

Buffers are made once. Everything is handed to one CUDA stream and nothing waits on the host. Work of the same
shape at the same addresses is captured in a CUDA graph the second time it comes (the first is the warm-up
that engines need) and replayed from then on; which frame it reads and writes, its colours and the strength
are bound before each launch, so new frames, and a strength on its way, need no new graph. Knows no models.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Literal

from gpu.cuda.driver import Device, DeviceArray, DeviceLost, Graph, Stream
from gpu.cuda.frame import DeviceFrame, Nv12
from gpu.cuda.kernels import BINDING_BYTES, Kernels
from gpu.cuda.place import Fit, Place
from gpu.cuda.planes import BFLOAT16, BYTE, HALF, Colours, Nv12Planes
from gpu.errors import DeviceError

Dtype = Literal["float16", "bfloat16"]
EngineCall = Callable[[Stream], None]  # hands one run of the model to the stream

MOST_GRAPHS = 4  # masks and outputs that take turns; beyond that the one unused longest goes


class Converter:
    """Between one stream's frames and a model's canvas. One thread at a time, one stream.

    canvas: the buffer that `to_canvas` fills, [3, h, w], planar RGB 0..1; bfloat16 is carried as uint16.
    place: where the canvas lies on the frames; follows their size.
    uncaptured: why the last attempt to capture a graph failed; "" where none did.
    """

    def __init__(
        self, device: Device, stream: Stream, width: int, height: int, canvas: tuple[int, int],
        dtype: Dtype = "float16", fit: Fit = "pad", kernels: Kernels | None = None,
    ) -> None:  # fmt: skip
        """For frames of width x height and a model that takes `canvas` (w, h). `kernels`: share what is
        loaded.

        Raises ValueError for sizes that cannot be, DeviceError without the kernels' image, CudaError when it
        does not fit this GPU or memory is full."""
        if dtype not in ("float16", "bfloat16"):
            raise ValueError(f"dtype {dtype!r}: float16 or bfloat16")
        self.place = Place.of(width, height, canvas, fit)
        self.uncaptured = ""
        self.stream = stream
        self._fit: Fit = fit
        self._kernels = kernels if kernels is not None else Kernels.load(device)
        w, h = canvas
        self.canvas = device.array((3, h, w), HALF if dtype == "float16" else BFLOAT16)
        self._change = device.array((3, h, w), HALF)
        self._kept = device.array((h, w), BYTE)
        self._binding = device.array((BINDING_BYTES,), BYTE)
        self._graphs: OrderedDict[Hashable, Graph | None] = OrderedDict()  # None: ran once, to be captured
        self._direct: set[Hashable] = set()  # what cannot be captured
        self._closed = False

    def to_canvas(self, frame: DeviceFrame, out: DeviceArray | None = None) -> DeviceArray:
        """The frame, resized with antialiasing and placed, in `out` (default: `canvas`); ready on the stream.

        Raises ValueError for an `out` that is no canvas, DeviceLost."""
        out = self.canvas if out is None else out
        self._begin(frame, None, 0.0)
        self._kernels.nv12_to_rgb(self.stream, self._binding, out, self.place)
        frame.used_on(self.stream)
        return out

    def composite(
        self, source: DeviceFrame, edited: DeviceArray, mask: DeviceArray | None, strength: float, into: Nv12,
        shown: DeviceArray | None = None,
    ) -> DeviceFrame:  # fmt: skip
        """The source at its own size with what the edit changes: (edited - shown) * mask * strength.

        edited: [3, h, w] like the canvas; mask: [h, w] of its dtype, 0..1, or uint8, 0..255; None:
        everywhere. Both must be ready on the stream. shown: the canvas that the model was given (default:
        `canvas`, as the last `to_canvas` filled it). Where the mask is 0 the source's bytes are kept, in both
        planes. The frame returned lives in `into`, has the source's times and colours, and is ready when its
        event is.

        Raises ValueError for arrays of other shapes or a strength outside 0..1, DeviceLost."""
        shown = self.canvas if shown is None else shown

        def record() -> None:
            self._composite(edited, shown, mask)

        self._begin(source, into, strength)
        self._replay(("composite", _key(edited), _key(shown), _key(mask)), record)
        return self._end(source, into)

    def edit(
        self, source: DeviceFrame, engine: EngineCall, edited: DeviceArray, mask: DeviceArray | None,
        strength: float, into: Nv12,
    ) -> DeviceFrame:  # fmt: skip
        """All of a frame as one graph: onto `canvas`, `engine(stream)`, and its `edited` over the source.

        `engine` must read `canvas` and write `edited` (and `mask`) at the same addresses each time, and hand
        over nothing but work for that stream. One that cannot be captured (`uncaptured` says why) is called
        for each frame. Raises as `composite` does, and what `engine` raises."""

        def record() -> None:
            self._kernels.nv12_to_rgb(self.stream, self._binding, self.canvas, self.place)
            engine(self.stream)
            self._composite(edited, self.canvas, mask)

        self._begin(source, into, strength)
        self._replay(("edit", engine, _key(edited), _key(mask)), record)
        return self._end(source, into)

    def from_canvas(self, rgb: DeviceArray, source: DeviceFrame, into: Nv12) -> DeviceFrame:
        """`rgb` [3, h, w] itself as a frame of its size, with the source's times and colours.

        Raises ValueError for a buffer of another size, DeviceLost."""
        self._check_open()
        colours = Colours(source.bt709, source.full_range)
        self._kernels.rgb_to_nv12(self.stream, rgb, into, colours)
        return into.frame(source.pts, source.arrived_ns, source.full_range, source.bt709, self.stream)

    def close(self) -> None:
        """Let go of the graphs and take no more work; the buffers go with the converter. Idempotent."""
        self._closed = True
        self._forget()

    def _begin(self, source: DeviceFrame, into: Nv12Planes | None, strength: float) -> None:
        self._check_open()
        if (source.width, source.height) != (self.place.width, self.place.height):
            canvas = self.place.canvas_width, self.place.canvas_height
            self.place = Place.of(source.width, source.height, canvas, self._fit)
            self._forget()  # their grids are for the size before
        self.stream.wait(source.ready)
        colours = Colours(source.bt709, source.full_range)
        self._kernels.bind(self.stream, self._binding, source, into, colours, strength)

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError("this converter is closed: its stream has ended")

    def _composite(self, edited: DeviceArray, shown: DeviceArray, mask: DeviceArray | None) -> None:
        self._kernels.edit_change(
            self.stream, self._binding, edited, shown, mask, self._change, self._kept, self.place
        )
        self._kernels.composite(self.stream, self._binding, self._change, self._kept, self.place)

    def _end(self, source: DeviceFrame, into: Nv12) -> DeviceFrame:
        source.used_on(self.stream)
        return into.frame(source.pts, source.arrived_ns, source.full_range, source.bt709, self.stream)

    def _replay(self, key: Hashable, record: Callable[[], None]) -> None:
        """Do what `record` hands over: directly the first time, captured the second, then as a graph."""
        if key in self._direct or key not in self._graphs:
            record()
            if key not in self._direct:
                self._graphs[key] = None
                if len(self._graphs) > MOST_GRAPHS:
                    _close(self._graphs.popitem(last=False)[1])
            return
        graph = self._graphs[key]
        if graph is None:
            graph = self._capture(record)
            if graph is None:
                del self._graphs[key]
                if len(self._direct) >= MOST_GRAPHS:
                    self._direct.pop()
                self._direct.add(key)
                record()
                return
            self._graphs[key] = graph
        self._graphs.move_to_end(key)
        graph.launch(self.stream)

    def _capture(self, record: Callable[[], None]) -> Graph | None:
        """None where something in it cannot be captured."""
        try:
            with self.stream.capture() as capture:
                record()
        except DeviceLost:
            raise
        except Exception as error:  # engines of other libraries raise their own; what is wrong without a
            self.uncaptured = str(error)  # capture too is raised by the direct call that follows
            return None
        return capture.graph

    def _forget(self) -> None:
        while self._graphs:
            _close(self._graphs.popitem()[1])
        self._direct.clear()


def _close(graph: Graph | None) -> None:
    """While it runs, too: the driver lets it end, and frees it then (cuGraphExecDestroy)."""
    if graph is not None:
        graph.close()


def _key(array: DeviceArray | None) -> Hashable:
    """What a graph has fixed of an array."""
    return None if array is None else (array.ptr, array.shape, array.dtype, array.strides)
