"""The weights of large models: where they come from, whether they are whole, and how they are read."""
