"""What happened: ids, who is told of it, the access line, the decision log, metrics, what goes on. Imports only `policies`."""
