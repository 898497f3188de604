"""What is in force, written as one rules file, with the place of every value."""
