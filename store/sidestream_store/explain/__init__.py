"""What explaining a number reads: stored figures with their revisions, readings with their frames. Views only."""
