"""The pages of the production line."""
