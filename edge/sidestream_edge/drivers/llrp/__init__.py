"""UHF RFID readers over LLRP."""
