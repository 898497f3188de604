"""What can be said of a rules file before any mail is sent: which rules decide, where two files differ."""
