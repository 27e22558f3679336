"""What the numbers say: reports of days, weeks and months, of log files, and the checklist for an alert."""
