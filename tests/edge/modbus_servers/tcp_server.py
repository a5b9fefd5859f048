"""A Modbus TCP device made of pyModbusTCP: `python tcp_server.py PORT WORDS`, holding registers as JSON, from address 0 on."""

from __future__ import annotations

import json
import sys
import threading

from pyModbusTCP.server import DataBank, DeviceIdentification, ModbusServer

port, words = int(sys.argv[1]), json.loads(sys.argv[2])
bank = DataBank(h_regs_size=len(words), i_regs_size=4, coils_size=8, d_inputs_size=8)
bank.set_holding_registers(0, words)
bank.set_coils(0, [True, False, True])
bank.set_discrete_inputs(0, [False, True])
about = DeviceIdentification(vendor_name=b"ACME", product_code=b"HM-12", major_minor_revision=b"V1.02")
server = ModbusServer("127.0.0.1", port, no_block=True, data_bank=bank, device_id=about)
server.start()
print("ready", flush=True)
threading.Event().wait()
