"""`sidestream bench rfid`: smoothing of RFID reads against fixed windows, on a portal with hidden truth and a recorded one."""
