"""What happened: ids, who is told of it, the access line, the decision log, metrics. Imports only `policies`."""
