"""Metrics of others: scraped from their endpoints, or sent by them."""
