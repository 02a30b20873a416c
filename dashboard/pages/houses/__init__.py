"""The pages of house sales."""

from dashboard.ui.section import Section

SECTION = Section("Houses", order=10, icon="houses/house")
