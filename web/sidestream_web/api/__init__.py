"""The read API, one module per subject; `/openapi.json` is its reference."""
