"""Real client programs against the gateway in front of real engines that serve the project's tiny model."""
