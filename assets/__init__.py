"""Files that travel with the product: sample datasets and the demo's settings."""
