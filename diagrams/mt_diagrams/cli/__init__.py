"""``mt-diagrams``: the figures by name.  Its live examples are the only place that runs mtlib."""
