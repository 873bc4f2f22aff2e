"""What a `logger` section may name: each is one class, whose fields are its settings."""
