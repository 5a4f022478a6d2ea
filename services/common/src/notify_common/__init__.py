"""Plumbing and content rules shared by the services of the notification platform."""
