"""The daemon as a service: its units, and what it and the service manager tell each other."""
