"""Stand-ins for a trace, and what a figure of one is read for."""

from dataclasses import dataclass, field


@dataclass
class Event:
    name: str
    phase: str
    start: int
    stop: int
    kind: str = "map"
    reads: int = 0
    writes: int = 0
    bytes_allocated: int = 0
    input_shapes: tuple = ()
    input_strides: tuple = ()
    output_shapes: tuple = ()
    output_strides: tuple = ()


@dataclass
class Buffer:
    name: str
    shape: tuple
    nbytes: int
    born: int
    died: int | None = None
    phase: str = "forward"
    role: str = "result"
    saved: bool = False


@dataclass
class Trace:
    events: list = field(default_factory=list)
    buffers: list = field(default_factory=list)
    live_bytes: list = field(default_factory=lambda: [0])
    saved_bytes: int = 0

    @property
    def peak_bytes(self):
        return max(self.live_bytes)


def example():
    """zip (saved) and reduce going forward, one gradient going back, and a workspace."""
    wide = ((4, 1, 0), (0, 3, 1))  # M repeated along n, N along m
    full, d_wide = (2, 4, 3), (3, 0, 1)
    return Trace(
        events=[
            Event(
                "zip",
                "forward",
                0,
                1,
                "zip",
                48,
                24,
                192,
                (full, full),
                wide,
                (full,),
                ((12, 3, 1),),
            ),
            Event(
                "reduce",
                "forward",
                1,
                4,
                "reduce",
                24,
                6,
                48,
                (full,),
                ((12, 3, 1),),
                ((2, 1, 3),),
                ((3, 3, 1),),
            ),
            Event("view", "forward", 4, 4, "view"),
            Event(
                "mul",
                "backward",
                4,
                5,
                "zip",
                48,
                24,
                192,
                (full, full),
                (d_wide, wide[1]),
                (full,),
                ((12, 3, 1),),
            ),
        ],
        buffers=[
            Buffer("zip", (2, 4, 3), 192, 1, 6, saved=True),
            Buffer("reduce", (2, 1, 3), 48, 2, None),
            Buffer("reduce", (8,), 64, 3, 4, role="workspace"),
            Buffer("mul", (2, 4, 3), 192, 5, None, phase="backward"),
        ],
        live_bytes=[0, 192, 240, 304, 240, 432, 240],
        saved_bytes=192,
    )


def blocks(svg, role):
    """The areas of one role, and its sample in the legend."""
    return [path for path in svg.cells if path.fill == role.fill.hex and path.width]
