"""What happened: ids, the access line, the decision log (traces and metrics come with issue 5). Imports only `policies`."""
