// A Modbus device made of modbus-serial: `node server.js tcp PORT OPTIONS`, or `node server.js rtu /dev/pts/N OPTIONS`.
// OPTIONS is JSON: unit (255: all of them), silent (units that never answer), words (address → word, in place of
// unit * 1000 + address), bits (address → 0 or 1). Registers and bits 0…199 exist. Says `ready` on stdout.
import modbus from "modbus-serial";

const [kind, where, text = "{}"] = process.argv.slice(2);
const { unit = 255, silent = [], words = {}, bits = {} } = JSON.parse(text);
const LAST = 199;

const one = (at) => (address, unitID, answer) => {
  if (silent.includes(unitID)) return; // no answer at all: the master waits in vain
  if (address > LAST) answer({ modbusErrorCode: 2, message: "no such address" }, null);
  else answer(null, at(address, unitID));
};
const word = one((address, unitID) => words[address] ?? (unitID * 1000 + address) % 65536);
const bit = one((address) => Boolean(bits[address]));
const vector = { getHoldingRegister: word, getInputRegister: word, getCoil: bit, getDiscreteInput: bit };

const server = kind === "tcp"
  ? new modbus.ServerTCP(vector, { host: "127.0.0.1", port: Number(where), unitID: unit })
  : new modbus.ServerSerial(vector, { path: where, baudRate: 115200, parity: "none", unitID: unit, interval: 2 });
server.on("initialized", () => console.log("ready"));
server.on("socketError", () => {});
