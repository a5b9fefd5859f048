"""What `sidestream edge status`, `tail` and `check` say about the agent on this machine."""
