"""Edits of rules files that leave every other byte as it was."""
