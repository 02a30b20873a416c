"""The pages of the production line."""

from dashboard.ui.section import Section

SECTION = Section("Production", order=50, icon="production/line")
