"""What the pages ask for in JSON, and what they download. A route answers; a plain function does."""
