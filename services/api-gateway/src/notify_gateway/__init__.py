"""REST gateway of the notification platform."""
