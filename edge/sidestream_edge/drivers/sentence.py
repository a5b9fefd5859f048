"""Ends what is said to people as a sentence, also where its last part asks something. Pure."""

from __future__ import annotations


def sentence(text: str) -> str:
    """`text` with a full stop, unless it ends with a mark of its own."""
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."
