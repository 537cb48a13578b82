"""What `nano` learns from: programs for looks and drawings, networks for art styles and the person mask."""
