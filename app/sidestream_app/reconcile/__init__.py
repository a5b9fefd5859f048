"""`sidestream twin reconcile`: its file, and its answer as JSON and as a page of text."""
