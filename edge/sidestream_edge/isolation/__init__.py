"""Drivers in a process of their own: what crashes, hangs or eats memory there ends nothing else; see ADR 0022."""
