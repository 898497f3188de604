"""What an outcome means: categories, the knowledge in data files, and the diagnosis that weighs the evidence."""
