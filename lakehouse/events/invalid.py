"""What is raised for a record that is no event."""


class Invalid(ValueError):
    """The record is no event; the message is its reason."""
