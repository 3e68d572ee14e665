"""How those who must know hear of an alert: the live stream, and channels outside."""
