"""Anthropic's Messages: requests into chat bodies, chat answers into messages and their events. Pure."""
