"""What a request and a response are."""
