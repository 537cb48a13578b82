"""Measurements of the real thing: a real `relens serve`, real peers, frames that carry their own number."""
