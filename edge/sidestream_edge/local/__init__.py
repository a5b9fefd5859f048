"""What a running agent tells on its own machine, without the broker: its state, and readings as they pass."""
