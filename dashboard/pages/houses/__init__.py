"""The pages of house sales."""
