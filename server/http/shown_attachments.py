"""To be written."""
HANDLERS: list[object] = []
