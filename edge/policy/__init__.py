"""The policy in force: where it comes from, how it changes, who is told."""
