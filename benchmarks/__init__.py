"""mtlib side by side with NumPy and, where installed, PyTorch and numexpr.

``make bench`` runs it; README.md beside this file says how to read what it prints.
"""
