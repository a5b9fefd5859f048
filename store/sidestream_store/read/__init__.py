"""Questions that pages and the read API ask, one module per subject: only views of `sidestream_v`, only reading."""
