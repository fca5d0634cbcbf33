"""The schema's history. A new step: copy the newest file in `versions/`, raise `schema.HEAD`."""
