"""What is kept: videos, jobs, sessions and their bytes. Knows no HTTP, and nothing of rendering."""
