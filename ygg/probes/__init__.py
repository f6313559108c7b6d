"""Where readings come from: this machine's driver, nvidia-smi over SSH, the model server, the configuration."""
