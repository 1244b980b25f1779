"""What is here is read by a type checker and never run."""

collect_ignore = ["reader.py"]
