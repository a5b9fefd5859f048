"""What crosses a wire or a file: topics, messages v1, `hub.yaml` and `edge.yaml`, errors, units. Imports nothing of ours."""
