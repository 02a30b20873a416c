"""Requests that are sent to a topic and answered on another: who asks, what was asked, what was answered."""
