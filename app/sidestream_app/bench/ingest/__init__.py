"""`sidestream bench ingest`: how fast frames are committed, against what the database itself can take in the same run."""
