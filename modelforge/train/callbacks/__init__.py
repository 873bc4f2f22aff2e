"""What a `callbacks` section may name: each is one class, whose fields are its settings."""
