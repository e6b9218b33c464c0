"""What earlier studies found, in files that are made to be shared."""
