"""Modbus TCP: polls registers of one device."""
