"""Synthetic London: children who do not exist, notes about them, and the story the demo tells with both."""
