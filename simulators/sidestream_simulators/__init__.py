"""Stand-ins for a hub's meters and scanners: seeded physics behind real protocol servers, and recorded files to replay.

What the plant really does (`truth`) is written apart from what its meters say, so that the twin can be judged against it.
"""
