"""The twin: what flows, what is stored, where each lot is and whether it runs as agreed, each with its uncertainty.

``core`` is pure mathematics; ``update`` loads, calls it and saves.
"""
