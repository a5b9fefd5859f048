"""Scanners that send one code per line, over TCP or into a file that grows."""
