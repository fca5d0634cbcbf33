"""Ollama's own routes."""
