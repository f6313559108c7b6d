"""Looking after an installation: the service manager's protocol, unit files, backups."""
