"""What happened: ids, the access line, the decision log (traces and metrics: issue 5). Imports only `policies`."""
