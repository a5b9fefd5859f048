"""One tree of errors. Catch the branch whose remedy you can carry out, never `Exception`.

SidestreamError
├── ContractError        what arrived breaks the contract: quarantine it with `reason`, go on
├── TransientError       the other side is away or busy: try again later
├── DomainError          the question makes no sense (unknown lot, empty period): tell the asker
└── ConfigurationError   a file, option or port is wrong: exit code 2, nothing changed
"""

from __future__ import annotations


class SidestreamError(Exception):
    """Base of every error that Sidestream raises on purpose; `str()` is a sentence fit for a user."""


class ContractError(SidestreamError):
    """A message or reading breaks contract v1; `reason` is machine-readable and stable."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TransientError(SidestreamError):
    """The same call may succeed later: network, broker or database away."""


class DomainError(SidestreamError):
    """The question itself can't be answered: unknown id, empty range, contradictory facts."""


class ConfigurationError(SidestreamError):
    """A configuration file, option or port is wrong; the message says where and what is allowed (exit code 2)."""
