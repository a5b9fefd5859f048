"""The error that ends the use of an outbox."""

from __future__ import annotations

from sidestream_contracts.errors import SidestreamError


class OutboxCorruptError(SidestreamError):
    """The outbox file became unreadable while in use; at the next start it is moved aside and named."""
