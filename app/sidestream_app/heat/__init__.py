"""Heat problems given as files: what stands in them, and what is printed of the answers."""
