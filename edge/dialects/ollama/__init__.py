"""Ollama's own routes: requests into chat bodies, chat answers into its lines and documents. Pure."""
