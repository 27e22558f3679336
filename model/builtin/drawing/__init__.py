"""Drawn photographs of cards, to train and to measure the detector with. Serving imports nothing of this."""
