"""Map, zip, reduce and view operations, each a Function with its forward and backward together."""
