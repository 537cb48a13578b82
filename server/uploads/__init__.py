"""Films on their way in: resumable uploads (tus 1.0), simple ones, and the look into each of them."""
