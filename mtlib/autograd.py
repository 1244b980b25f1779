"""Functions, and how gradients flow back through them.

A :class:`Function` is an operation that knows its derivative.  Applying one leaves a :class:`Node`
that remembers where its inputs came from; ``backward`` walks the nodes from the last to the first,
hands each the gradient of its output, and passes on the gradients of its inputs that come back.

This module computes nothing itself.  A gradient is a tensor, of which it asks its shape and dtype,
a ``+``, and whether somebody else holds its memory.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from mtlib.runtime.ledger import Recording
from mtlib.runtime.mode import Mode, thread, treated
from mtlib.runtime.versions import clock


class Differentiable:
    """What a gradient can flow to: the part of a tensor that autograd knows.

    ``grad`` is the gradient that has arrived, ``grad_fn`` the node that made this; both are None at
    first.
    """

    __slots__ = ("_grad", "_requires_grad", "grad_fn")

    @property
    def grad(self):
        """The gradient that has arrived, a tensor of this shape and dtype; None before the first.

        Can be set: to None, so that the next gradient starts anew, or to such a tensor.

        >>> import mtlib
        >>> x = mtlib.ones(2, requires_grad=True)
        >>> (x * 3).sum().backward()
        >>> x.grad
        tensor([3., 3.])
        >>> x.grad = None
        """
        return self._grad

    @grad.setter
    def grad(self, gradient) -> None:
        if gradient is not None:
            if not isinstance(gradient, Differentiable):
                raise TypeError(f"grad: must be a tensor or None, got {type(gradient).__name__}")
            if gradient is self:
                raise ValueError("grad: a tensor cannot be its own gradient; use detach()")
            if (gradient.shape, gradient.dtype) != (self.shape, self.dtype):
                raise ValueError(
                    f"grad: a gradient of shape {gradient.shape} and dtype {gradient.dtype} for a "
                    f"tensor of shape {self.shape} and dtype {self.dtype}"
                )
        self._grad = gradient

    @property
    def is_leaf(self) -> bool:
        """Whether no operation made it that is remembered: it is where gradients arrive.

        >>> import mtlib
        >>> x = mtlib.ones(2, requires_grad=True)
        >>> x.is_leaf, (x * 2).is_leaf
        (True, False)
        """
        return self.grad_fn is None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it.  Can be set on leaves.

        >>> import mtlib
        >>> x = mtlib.ones(2)
        >>> x.requires_grad = True
        >>> (x * 2).requires_grad
        True
        """
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not self.is_leaf:
            raise RuntimeError(
                f"requires_grad: can only be set on a leaf, and this is the result of "
                f"{self.grad_fn.name}; detach() gives a leaf"
            )
        if value and self.dtype.kind != "f":
            raise TypeError(f"requires_grad: a {self.dtype} tensor has no gradient, only floats do")
        self._requires_grad = bool(value)

    def backward(self, gradient=None, retain_graph: bool = False) -> None:
        """Add to ``.grad`` of every leaf the derivative of this tensor with respect to it.

        ``gradient`` has the shape of this tensor; a tensor of one element may leave it out (then
        it is 1).  What was saved for backward is freed on the way unless ``retain_graph``.

        >>> import mtlib
        >>> x = mtlib.tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4., 6.])
        """
        if not self.requires_grad:
            raise RuntimeError(
                f"backward: this tensor of shape {self.shape} does not depend on anything that "
                "requires a gradient"
            )
        with treated(grad_enabled=False, phase="backward"):
            if self.grad_fn is None:
                _arrive(self, self._seed(gradient))
            else:
                _flow_back(self.grad_fn, self._seed(gradient), retain_graph)

    def _seed(self, gradient):
        """The gradient to start from; how to make one is for the tensor to say."""
        raise NotImplementedError


class Context:
    """What a Function's forward leaves for its backward.

    Tensors go through :meth:`save_for_backward`; anything else (a dim, a flag) can be set as an
    attribute.  ``needs_input_grad`` has one bool for each argument of ``forward``; ``function`` is
    the Function that was applied.
    """

    _saved: tuple | None = None
    _freed = False

    def __init__(self, function: type[Function], needs_input_grad: tuple[bool, ...]) -> None:
        self.function = function
        self.needs_input_grad = needs_input_grad

    def save_for_backward(self, *tensors) -> None:
        """Keep ``tensors``, and with them their memory, until backward has run.

        Kept only if a gradient will flow, and without their history: an output that held itself
        could never be freed.  They are not copied.  If one is changed in place before backward,
        :attr:`saved_tensors` refuses; a change through ``numpy()`` gives the gradient of something
        else, and nothing notices.
        """
        if True not in self.needs_input_grad:
            self._saved = ()
            return
        for t in tensors:
            if t is not None and not isinstance(t, Differentiable):
                raise TypeError(
                    f"save_for_backward: {self.function.__name__}.forward saves a "
                    f"{type(t).__name__}; only tensors are saved, set anything else on ctx"
                )
        self._saved = tuple([None if t is None else t.detach() for t in tensors])
        self._saved_at = clock.now

    @property
    def saved_tensors(self) -> tuple:
        """The tensors that forward saved, in the same order.

        Raises ``RuntimeError`` if one was changed in place since, or freed by an earlier backward.
        """
        if self._freed:
            raise RuntimeError(
                f"backward: what {self.function.name} had saved was freed by an earlier backward; "
                "call that one with retain_graph=True"
            )
        if self._saved is None:
            raise RuntimeError(
                f"backward: {self.function.__name__}.forward saved nothing; call "
                "ctx.save_for_backward there"
            )
        if self._saved and self._saved_at != clock.now:
            self._check_unchanged()
        return self._saved

    def _check_unchanged(self) -> None:
        for t in self._saved:
            change = t is not None and clock.since(self._saved_at, t.storage)
            if change:
                raise RuntimeError(
                    "backward: one of the tensors needed for gradient computation has been "
                    f"modified by an inplace operation: {self.function.name} saved a tensor of "
                    f"shape {t.shape}, and {change} changed its memory afterwards"
                )

    def _free(self) -> None:
        if self._saved:
            self._saved, self._freed = (), True


class Node:
    """One applied Function in the graph: what to call, and where its inputs came from.

    ``inputs`` has one entry per argument of ``forward``: the node that made it, the leaf itself, or
    None where no gradient flows.  Results that nothing saved are not held.
    """

    __slots__ = ("context", "function", "input_types", "inputs", "number", "shape")

    _count = itertools.count()

    def __init__(self, function: type[Function], context: Context, arguments, shape) -> None:
        self.function = function
        self.context = context
        self.shape = shape
        self.inputs = tuple(
            (x.grad_fn or x) if needed else None
            for x, needed in zip(arguments, context.needs_input_grad, strict=True)
        )
        self.input_types = tuple(
            (x.shape, x.dtype) if needed else None
            for x, needed in zip(arguments, context.needs_input_grad, strict=True)
        )
        self.number = next(Node._count)  # later than that of every node it depends on

    @property
    def name(self) -> str:
        return self.function.name

    def __repr__(self) -> str:
        return f"<{self.function.__name__}>"


class Function:
    """An operation and its derivative, side by side.

    Subclass it with two static methods, and call it as ``Cube.apply(x)``:

    >>> import mtlib
    >>> class Cube(mtlib.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         (x,) = ctx.saved_tensors
    ...         return grad_output * 3 * x * x
    >>> x = mtlib.tensor([2.0], requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor([12.])

    ``forward`` gets a context and the arguments as they were passed, and returns a tensor.
    ``backward`` gets the context and the gradient of that tensor, and returns one gradient for each
    argument of ``forward``, None for those that have none.

    ``name`` and ``kind`` are how the ledger enters it.  A Function that runs a kernel of its own
    says in ``traffic`` how many elements the kernel loads and stores; so it does for backward in
    ``backward_traffic``, and is entered then too (most are made of operations, which are entered);
    and in ``decompose``, which gets the arguments of forward and no context, what it computes in
    operations that ``fuse`` can take apart.
    """

    name: str
    kind = "fused"
    backward_traffic: Callable[..., tuple[int, int]] | None = None  # (ctx, inputs, gradients)
    decompose: Callable | None = None

    def __init_subclass__(cls) -> None:
        cls.name = cls.__dict__.get("name", cls.__name__)
        cls.decompose = cls.__dict__.get("decompose")  # another forward computes something else

    @staticmethod
    def forward(ctx: Context, *arguments):
        """The result, as a tensor."""
        raise NotImplementedError(f"{ctx.function.__name__}.forward is not written")

    @staticmethod
    def backward(ctx: Context, grad_output):
        """The gradients, one for each argument of forward."""
        who = ctx.function.__name__
        raise NotImplementedError(f"{who}.backward is not written: {who} has no gradient")

    @staticmethod
    def traffic(ctx: Context, inputs, output) -> tuple[int, int]:
        """Elements (loaded, stored): by default each input and each output once."""
        return sum(x.size for x in inputs), output.size

    @classmethod
    def apply(cls, *arguments):
        """Run forward, entering it in the ledger and, where gradients flow, in the graph."""
        mode = thread.mode
        if mode.reader is not None:
            return mode.reader(cls, arguments)
        return _apply(cls, _recorded if mode.traces else run_forward, arguments, mode)

    @classmethod
    def apply_by(cls, run: Callable, arguments):
        """The same, with ``run(ctx, arguments)`` in the place of forward."""
        return _apply(cls, run, arguments, thread.mode)


def _apply(function: type[Function], run: Callable, arguments, mode: Mode):
    """What ``run`` makes of ``arguments``, joined to the graph where gradients flow."""
    if not mode.grad_enabled:
        return run(Context(function, (False,) * len(arguments)), arguments)
    needs = []
    for x in arguments:  # a comprehension would be one more call, for each operation
        needs.append(isinstance(x, Differentiable) and x._requires_grad)
    ctx = Context(function, tuple(needs))
    mode.grad_enabled = False  # the operation is differentiated, not what its forward is made of
    try:
        output = run(ctx, arguments)
    finally:
        mode.grad_enabled = True
    if True in needs and output.dtype.kind == "f":
        output = output.detach()  # forward may hold on to what it returned, and so to its node
        output._requires_grad = True
        output.grad_fn = Node(function, ctx, arguments, output.shape)
    return output


def run_forward(ctx: Context, arguments):
    """What the forward of ``ctx.function`` returns, if that is a tensor."""
    output = ctx.function.forward(ctx, *arguments)
    if not isinstance(output, Differentiable):
        who = ctx.function.__name__
        raise TypeError(f"{who}.forward must return a tensor, got {type(output).__name__}")
    for x in arguments:
        if x is output:  # the result of an operation is never one of its arguments
            return output.detach()
    return output


def _recorded(ctx: Context, arguments):
    """The same, entered in the ledger."""
    function, inputs = ctx.function, [x for x in arguments if isinstance(x, Differentiable)]
    with Recording(function.name, function.kind, inputs) as recording:
        output = run_forward(ctx, arguments)
        saved = [x.storage for x in ctx._saved or () if x is not None]
        recording.finish([output], saved, function.traffic(ctx, inputs, output))
    return output


def _backward(ctx: Context, gradient) -> list:
    """What the backward of ``ctx.function`` returns, as a list; in the ledger if it has a kernel.

    What goes in is then the gradient and all that was saved, what comes out the gradients.
    """
    function = ctx.function
    if function.backward_traffic is None or not thread.mode.traces:
        return _several(function.backward(ctx, gradient))
    inputs = [x for x in (gradient, *ctx.saved_tensors) if x is not None]
    with Recording(f"{function.name}_backward", function.kind, inputs) as recording:
        gradients = _several(function.backward(ctx, gradient))
        made = [x for x in gradients if x is not None]
        recording.finish(made, (), function.backward_traffic(ctx, inputs, made))
    return gradients


def _several(gradients) -> list:
    return list(gradients) if isinstance(gradients, (tuple, list)) else [gradients]


def _flow_back(last: Node, gradient, retain_graph: bool) -> None:
    """Walk the graph from ``last`` back to the leaves.

    A node is numbered after all that it depends on, so taking the highest number first visits each
    node when every gradient that flows into it has arrived (the order of PyTorch's engine).  A
    heap instead of recursion, so that depth does not matter.
    """
    waiting = {last.number: (last, gradient)}
    order = [-last.number]
    del gradient  # from here on `waiting` alone holds gradients, so that each is freed once used

    def visit(node: Node, gradient) -> None:
        gradients = _derive(node, gradient)
        if not retain_graph:
            node.context._free()
        for source, part in zip(node.inputs, gradients, strict=True):
            if source is None or part is None:
                continue
            if not isinstance(source, Node):
                _arrive(source, part)
            elif source.number in waiting:
                waiting[source.number] = (source, waiting[source.number][1] + part)
            else:
                waiting[source.number] = (source, part)
                heapq.heappush(order, -source.number)

    while order:
        visit(*waiting.pop(-heapq.heappop(order)))


def _derive(node: Node, gradient) -> list:
    """Call a node's backward, check what it returned and give each gradient its input's dtype."""
    who = f"{node.function.__name__}.backward"
    gradients = _backward(node.context, gradient)
    if len(gradients) != len(node.inputs):
        raise ValueError(
            f"{who} returned {len(gradients)} gradients for the {len(node.inputs)} arguments of "
            "forward; return None for those without one"
        )
    for i, (part, needed) in enumerate(zip(gradients, node.input_types, strict=True)):
        if part is None or needed is None:
            continue
        shape, dtype = needed
        if not isinstance(part, Differentiable):
            raise TypeError(f"{who} must return tensors, got {type(part).__name__}")
        if part.shape != shape:
            raise ValueError(
                f"{who} returned a gradient of shape {part.shape} for argument {i} of shape {shape}"
            )
        gradients[i] = part.to(dtype)
    return gradients


def _arrive(leaf: Differentiable, gradient) -> None:
    """Add a gradient to a leaf, so that each ``.grad`` has memory of its own.

    One backward can return the same tensor for several inputs (addition does), or one that it had
    saved.  Were it shared, clearing a gradient in place would clear more than that.
    """
    leaf.grad = (
        gradient.owned(copy=gradient.is_shared()) if leaf.grad is None else leaf.grad + gradient
    )
