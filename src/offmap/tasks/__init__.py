"""Tasks: which materials each one trains on, and which it holds out."""
