"""The way from any published number down to the readings that it rests on, derived again and compared bit for bit."""
