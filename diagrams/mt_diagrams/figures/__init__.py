"""The figures, one subject a file."""
