"""The command line, one file for each verb. Each file loads the servers' clients only when its verb runs."""
