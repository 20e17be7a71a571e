"""What a run is: its options, and the record that every file of it carries."""
