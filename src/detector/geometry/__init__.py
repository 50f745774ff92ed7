"""Plane geometry of outlines: areas, overlaps, and outlines grown and shrunk. No torch."""
