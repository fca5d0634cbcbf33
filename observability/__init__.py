"""What happened and goes on: ids, who is told, the access line, the decision log, metrics. Imports only `policies`."""
