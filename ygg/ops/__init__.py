"""What surrounds a daemon on a machine: the service manager's protocol, unit files."""
