"""What is done while a target is down: its ladder, rung by rung."""
