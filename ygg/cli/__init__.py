"""The command line: thin commands over a Desk. Heavy imports stay inside the commands."""
