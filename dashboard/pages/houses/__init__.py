"""The pages of house sales."""

from dashboard.ui.section import Section

SECTION = Section(
    "Houses",
    order=10,
    icon="houses/house",
    details={
        "speed": "/houses#houses-windows",
        "history": "/houses#houses-feed",
        "recompute": "/houses#houses-parity",
        "batch": "/houses#houses-windows",
        "page": "/houses#houses-last-window",
    },
)
