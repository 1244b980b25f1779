"""What a program returns has memory of its own where it would have it step by step.

Reading gives one node to what is computed twice, and to ``x * 1`` that of x.  As long as the
program goes on that is right; but whoever gets two results may write to one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mtlib.fusion.graph import Node, source
from mtlib.fusion.primitives import VIEWS
from mtlib.layout import dense_like


def apart(inputs: Iterable, results: Sequence, number: int) -> tuple[Node, ...]:
    """The nodes of ``results``, with copies of what would share memory by mistake.

    Symbols share memory step by step if they have one ``storage``.  ``number`` is the first that is
    free for a node.
    """
    owners = {x.node: x.storage for x in inputs}
    copies: dict[tuple, Node] = {}

    def copied(node: Node, storage) -> Node:
        """``node`` on a copy of what lies in ``storage``."""
        if node.kind == "view" and node is not storage.node:
            arg = copied(node.args[0], storage)
            layout = VIEWS[node.name](arg.layout, *node.how)
            return replace(node, args=(arg,), layout=layout)
        if (node, storage) not in copies:
            layout = dense_like(node.layout)
            copy = Node("map", "copy", (node,), layout, node.dtype, (), number + len(copies))
            copies[node, storage] = copy
        return copies[node, storage]

    nodes = []
    for x in results:
        place = source(x.node)
        kept = place.kind == "constant" and place.value is None  # from one call to the next
        shared = owners.setdefault(place, x.storage) is not x.storage
        nodes.append(copied(x.node, x.storage) if kept or shared else x.node)
    return tuple(nodes)
