"""What a record is and how it is kept: nothing here knows HTTP."""
