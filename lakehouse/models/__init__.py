"""Published models: versions and the live one, manifests, comparison, files that are data and never code."""
