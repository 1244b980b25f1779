"""What is too long to be computed again wherever it is read.

An elementwise result needs no memory, it is computed where it is used.  What is used at several
places, by loops one after the other or through views of other elements, is computed at each, and so
is all that it is made of: in a long program more and more, with the square of its length or worse.
So where a chain of operations branches after more than ``LONG``, its result is stored.

TorchInductor draws the same line, after as many operations (``realize_opcount_threshold``).
"""

from __future__ import annotations

from collections.abc import Collection

from mtlib.fusion.graph import Graph, Node, source

LONG = 30  # operations that are computed again rather than stored


def too_long(graph: Graph, stored: Collection[Node]) -> list[Node]:
    """The elementwise results to store beside ``stored``, so that no more than ``LONG`` operations
    are computed at several places."""
    loaded = {n for n in graph.nodes if n in stored or n.kind in ("reduce", "input", "constant")}
    loaded.update(graph.inputs)
    branching = _branching(graph, loaded)
    found: list[Node] = []
    # What an element is computed with: operations, and for each the views through which it is seen;
    # None where they are more than LONG.
    operations: dict[Node, frozenset | None] = dict.fromkeys(loaded, frozenset())
    for node in graph.nodes:
        if node in loaded:
            continue
        behind = [operations[a] for a in node.args]
        if None in behind:
            together = None
        elif node.kind == "view":
            together = frozenset((node.layout, x) for x in behind[0])
        else:
            together = frozenset([node]).union(*behind)
        operations[node] = together if together is None or len(together) <= LONG else None
        if operations[node] is None and node in branching:
            found.append(node)
            operations[node] = frozenset()
    return found


def _branching(graph: Graph, loaded: set[Node]) -> set[Node]:
    """The operations that are read at several places, and not only because their one reader is."""
    numbers: dict[tuple, int] = {}
    levels: dict[Node, int] = {}
    for node in graph.nodes:
        above = [levels[a] + (a in loaded) for a in node.args if a in levels]
        levels[node] = max(above, default=0)
    # For each node the loops in which it is computed: a set, as the bits of a number.  Tasks on one
    # level that walk in the same way can share theirs.
    loops = dict.fromkeys(graph.nodes, 0)
    readers: dict[Node, list[int]] = {node: [] for node in graph.nodes}
    places: dict[Node, set] = {node: set() for node in graph.nodes}
    for node in reversed(graph.nodes):
        if node in graph.inputs:
            continue
        if node in loaded:
            space = node.args[0].shape if node.args else node.shape
            walk = levels[node], space, node.how if node.kind == "reduce" else ()
            loops[node] = 1 << numbers.setdefault(walk, len(numbers))
        for arg in node.args:
            loops[arg] |= loops[node]
            if node.kind != "view":
                readers[source(arg)].append(loops[node])
                places[source(arg)].add(arg.layout)
    return {
        node
        for node in graph.nodes
        if node.is_elementwise
        and (len(places[node]) > 1 or all(part != loops[node] for part in readers[node]))
    }
