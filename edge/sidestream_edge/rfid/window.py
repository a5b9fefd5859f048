"""How long a silence has to be before a tag that is read at a known rate has left: SMURF's window, per tag.

Jeffery, Garofalakis, Franklin, "Adaptive Cleaning for RFID Data Streams", VLDB 2006. Time is cut into epochs. A tag that is
there is read in an epoch with probability p, independently, so reads in a window of w epochs are a binomial sample.
"""

from __future__ import annotations

import math

LONGEST_WINDOW = 512
"""Epochs that are remembered of a tag at a place, and so the longest silence that is waited for."""

_ALL = (1 << LONGEST_WINDOW) - 1

_MEMORY = 0.98
"""What a gap between reads still counts after the next one: a tag's own evidence is its last fifty reads or so."""

_EXPECTED_GAPS = 30.0
"""How many gaps the expected rate counts for beside a tag's own: enough that tags which are all alike are not waited for
now longer, now shorter by chance; few enough that one which is read worse than others is known as such."""

_HIGHEST_RATE = 0.95
"""A tag that was never missed yet can still be missed."""


def required_window(rate: float, delta: float) -> int:
    """Epochs w* = ⌈ln(1/δ)/p⌉ after which a tag that is there has been read with probability at least 1 − δ (equation 3)."""
    return max(1, math.ceil(math.log(1 / delta) / rate))


def least_window(rate: float, delta: float) -> int:
    """The fewest epochs whose silence has probability (1 − p)^w ≤ δ for a tag that is there; never above w*."""
    return max(1, math.ceil(math.log(delta) / math.log1p(-rate)))


def is_transition(reads: int, window: int, rate: float) -> bool:
    """Whether |S − w·p| > 2·√(w·p·(1 − p)): the window no longer looks like one tag that stayed (equation 4)."""
    return abs(reads - window * rate) > 2 * math.sqrt(window * rate * (1 - rate))


class ReadRate:
    """Probability that a tag which is there is read in an epoch, learnt from the gaps between its reads.

    Only what lies between two reads is counted: a silence that lasts may be absence. The estimate lies between `expected`,
    what is known of others, and what this tag itself shows, the nearer to it the more was seen.
    """

    __slots__ = ("_epochs", "_gaps", "_memory", "_others")

    def __init__(self, expected: float, memory: float = _MEMORY) -> None:
        self._memory = memory
        self._gaps = 0.0
        self._epochs = 0.0
        self._others = _EXPECTED_GAPS / expected

    def gap(self, epochs: int) -> None:
        """Two reads followed each other after so many epochs, 1 or more."""
        self._gaps = self._memory * self._gaps + 1
        self._epochs = self._memory * self._epochs + epochs

    @property
    def value(self) -> float:
        """The rate, above 0 and at most 0.95."""
        return min((self._gaps + _EXPECTED_GAPS) / (self._epochs + self._others), _HIGHEST_RATE)


class Window:
    """The adaptive window over one tag's epochs at one place; 64 bytes of history however long the tag stays.

    As in the paper it grows by two epochs towards w*, and is halved at a transition. Three things differ, so that a leave
    keeps the error δ and is not later than that takes: it is never shorter than `least_window`; it grows only in epochs with
    a read (else it would run away from the silence that it is to notice); and the newest `least_window` epochs are tested
    for a transition by themselves too, so that what was read before a silence does not lengthen it.
    """

    __slots__ = ("_delta", "_history", "_least", "_rate", "_size", "_wanted", "rate", "reads", "silent")

    def __init__(self, expected_rate: float, delta: float) -> None:
        self._delta = delta
        self._rate = ReadRate(expected_rate)
        self._history = 0
        self._learn()
        self._size = self._wanted
        self.silent = 0
        """Epochs since the last one with a read."""
        self.reads = 0
        """Epochs with a read since this window began."""

    @property
    def size(self) -> int:
        """Epochs that the window spans now."""
        return self._size

    @property
    def is_over(self) -> bool:
        """Whether nothing was read in the whole window: the tag has left."""
        return self.silent >= self._size

    @property
    def confidence(self) -> float:
        """Probability that a tag which is there would have been read during the present silence."""
        return 1 - (1 - self.rate) ** self.silent

    def seen(self, epochs: int) -> int:
        """Epochs with a read among the last so many."""
        return (self._history & ((1 << epochs) - 1)).bit_count()

    def close(self, *, read: bool) -> None:
        """An epoch has ended in which the tag was read at least once, or not at all."""
        self._history = (self._history << 1 | read) & _ALL
        if read:
            if self.reads:
                self._rate.gap(self.silent + 1)
                self._learn()
            self.reads += 1
            self.silent = 0
        else:
            self.silent += 1
        self._adapt(growing=read)

    def _learn(self) -> None:
        """What follows from the rate, which only a read changes."""
        self.rate = self._rate.value
        """Estimated probability of a read in an epoch."""
        self._wanted = min(required_window(self.rate, self._delta), LONGEST_WINDOW)
        self._least = min(least_window(self.rate, self._delta), LONGEST_WINDOW)

    def _adapt(self, *, growing: bool) -> None:
        size = self._size
        if self.silent >= self._least and is_transition(0, self._least, self.rate):
            size = self._least
        elif self._wanted > size:
            size += 2 if growing else 0
        elif is_transition(self.seen(size), size, self.rate):
            size //= 2
        self._size = max(min(size, self._wanted), self._least)
