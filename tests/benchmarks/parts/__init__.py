"""What can be measured, a module each."""
