"""The pages of the production line."""

from dashboard.ui.section import Section

SECTION = Section(
    "Production",
    order=50,
    icon="production/line",
    details={
        "speed": "/production#production-windows",
        "recompute": "/production#production-parity",
        "batch": "/production#production-windows",
        "page": "/production#production-zones-today",
    },
)
