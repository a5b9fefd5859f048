"""What the twin's mathematics and its updating cost on this machine, and how good its statistics are."""
