"""Looking after an installation: doctor, the first configuration, models, the service, backups."""
