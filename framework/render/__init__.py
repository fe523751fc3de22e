"""Plans, statuses and reports as text, JSON and HTML."""
