"""Work that nobody asks for at a door: escalation, delivery to channels, housekeeping."""
