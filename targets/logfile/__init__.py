"""Logs of others: followed without losing or repeating a line, and searched for what matters."""
