"""Docker Model Runner's own routes: its listings of models, and what it says of fetching and deleting one. Pure."""
