"""What every open page gets pushed: one reader for all, one bounded mailbox each."""
