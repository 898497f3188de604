"""The language described: a schema for editors, a reference and the meaning of each message for people."""
