"""The admin listener: health and readiness now; the admin API, pages and metrics come with later issues."""
