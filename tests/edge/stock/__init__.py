"""Models that are fetched and deleted for callers."""
