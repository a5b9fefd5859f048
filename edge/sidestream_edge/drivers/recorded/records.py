"""Whole records of a CSV that is still being written: what has no end yet stays where it is. Pure.

A record ends with a line end outside quotes. A quote that is never closed would swallow the rest of the file: a record
is at most 64 kB, then its first line is given up.
"""

from __future__ import annotations

import csv
from typing import NamedTuple

from sidestream_contracts.errors import ContractError

MOST_BYTES = 1 << 16


class Record(NamedTuple):
    """One record: its bytes with the line end, and how many lines they are."""

    raw: bytes
    lines: int

    def cells(self, delimiter: str) -> list[str]:
        """Its cells; none for an empty line. ContractError `not_csv` when it can't be read as one record."""
        text = self.raw.decode("utf-8-sig", errors="surrogateescape")
        try:
            rows = list(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise ContractError("not_csv", f"{error}; row left out") from error
        return rows[0] if rows else []


def whole_records(data: bytes) -> list[Record]:
    """The records at the begin of `data` that are whole."""
    found: list[Record] = []
    begin = end = lines = 0
    while (end := data.find(b"\n", end) + 1) > 0:
        lines += 1
        if data.count(b'"', begin, end) % 2 == 0:
            found.append(Record(data[begin:end], lines))
            begin, lines = end, 0
        elif end - begin > MOST_BYTES:
            first = data.find(b"\n", begin) + 1
            found.append(Record(data[begin:first], 1))
            begin = end = first
            lines = 0
    return found
