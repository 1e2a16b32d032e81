"""Crystals to numbers."""
