"""What happened: ids, who is told of it, the access line, the decision log. Imports only `policies`."""
