"""Findings: what the twin raises, each occurrence once, and what people did about it; in the words of ISA-18.2."""
