"""The rules language: read with positions, layered, and asked which rule decides."""
