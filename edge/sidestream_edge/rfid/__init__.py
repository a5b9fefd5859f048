"""From flapping RFID reads to what happened: which tag came to which place, went from it, and passed which way. Pure."""
