"""Finding out what a device offers, and drafting the `edge.yaml` that reads it: a module for each protocol.

Gentle by design: probes only read, ask one thing at a time with a pause between, and stop after a bounded number of requests.
"""
