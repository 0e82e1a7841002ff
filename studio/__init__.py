"""The studio: what a person touches, and what keeps runs alive. Never imports torch. `docs/architecture.md` has its rooms."""
