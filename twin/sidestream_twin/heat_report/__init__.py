"""What became of heat in a time: from stored figures of a running hub to a report. All pure but `load`."""
