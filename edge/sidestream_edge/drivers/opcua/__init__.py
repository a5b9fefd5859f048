"""OPC UA servers; see README.md."""
