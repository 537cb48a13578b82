"""Edits of whole films: cut, rendered span by span, put together. Knows no HTTP."""
