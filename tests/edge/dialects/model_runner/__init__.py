"""Docker Model Runner's own routes."""
