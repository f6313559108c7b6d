"""Drivers for model servers. Each speaks one protocol and implements `ports.Backend`."""
