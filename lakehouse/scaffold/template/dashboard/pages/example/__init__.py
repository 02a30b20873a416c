"""The pages of the domain example."""

from dashboard.ui.section import Section

SECTION = Section("Example", order=60, icon="example/icon")
