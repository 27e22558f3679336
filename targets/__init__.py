"""What runs beside the model: probes, scraped metrics, followed logs, remedies."""
