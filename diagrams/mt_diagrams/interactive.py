"""A widget beside a picture of itself, for readers with and without a running kernel."""

from __future__ import annotations

from mt_diagrams.svg.figure import Figure


class Interactive:
    """A widget that shows ``still`` wherever no kernel is there to answer it.

    A notebook stores of a widget only the number of a model in a kernel that is gone by the time
    somebody reads it.  This stores a figure with it, so that the page is never empty, and so that
    there is something for a test to compare.

    Args:
        widget: an ipywidgets widget; its callbacks are the caller's.
        still: the figure as it is before anything is moved.

    >>> from mt_diagrams import matrix
    >>> class Widget:  # in place of one of ipywidgets
    ...     def _repr_mimebundle_(self, **options):
    ...         return {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "VBox()"}
    >>> shown = Interactive(Widget(), Figure(matrix(2, 3), "a matrix", "2 rows, 3 columns"))
    >>> sorted(shown._repr_mimebundle_())
    ['application/vnd.jupyter.widget-view+json', 'text/html', 'text/plain']
    """

    def __init__(self, widget, still: Figure) -> None:
        self.widget = widget
        self.still = still

    def __repr__(self) -> str:
        return f"<Interactive: {self.still.title}>"

    def _repr_mimebundle_(self, **options) -> dict:
        bundle = self.widget._repr_mimebundle_(**options)
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        return {**data, "text/html": self.still.html, "text/plain": repr(self)}
