"""What the twin reads from and writes to the database, set by set; all of it inside the transaction of one pass."""
