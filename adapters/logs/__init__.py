"""Readers that turn what a mailer or a mail system wrote down into Attempts: pure, total over any bytes, bounded."""
