"""Out in files that other programs read: Parquet and CSV, with unit, origin and doubt beside every number."""
