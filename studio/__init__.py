"""The studio: the user interfaces and the code that keeps runs alive. It never imports torch (docs/architecture.md)."""
