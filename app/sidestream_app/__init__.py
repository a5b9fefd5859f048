"""The command line, the embedded demo, and the only code that wires everything together."""
