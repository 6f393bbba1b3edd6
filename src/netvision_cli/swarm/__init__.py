"""The endless workload, and the account of every record in it."""
