"""The pure core of the twin: functions over frozen values and numpy arrays, SI units inside.

Nothing here reads a file, a clock or a database, draws a random number, or knows the wire and the configuration.
Equal input gives bit-equal output, whatever order it arrived in, so that any window can be computed again.
Instants of vectors are seconds since 1970-01-01 UTC (``_s``); instants of single events are aware datetimes (``_at``).
"""
